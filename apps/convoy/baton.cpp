#include "apps/convoy/baton.h"

namespace convoy {

void Baton::expect(std::uint64_t threads) {
  const std::lock_guard lock(mutex_);
  next_ = threads;
}

void Baton::take(std::uint64_t number) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return turn_ == number; });
}

void Baton::give() {
  {
    const std::lock_guard lock(mutex_);
    ++turn_;
  }
  changed_.notify_all();
}

void Baton::pass() {
  std::unique_lock lock(mutex_);
  const std::uint64_t number = next_++;
  ++turn_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return turn_ == number; });
}

}  // namespace convoy
