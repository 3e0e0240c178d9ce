#include "apps/convoy/interrupt.h"

#include <atomic>

namespace convoy {
namespace {

struct Handled {
  int signal;
  bool once;  // a second one has its usual effect
  const char* words;
};
constexpr std::array<Handled, 5> kHandled = {
    {{SIGINT, true, "interrupted"},
     {SIGTERM, false, "interrupted by SIGTERM"},
     {SIGQUIT, true, "interrupted by SIGQUIT"},
     {SIGHUP, false, "interrupted by SIGHUP"},
     {SIGXCPU, false, "interrupted by SIGXCPU (out of processor time)"}}};

// A signal handler writes it and other threads read it, which a sig_atomic_t is not for.
std::atomic<int> arrived = 0;
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may write no other");
bool guarded = false;

void note_signal(int signal) { arrived = signal; }

}  // namespace

InterruptGuard::InterruptGuard() : outermost_(!guarded) {
  if (!outermost_) return;
  guarded = true;
  arrived = 0;
  for (std::size_t i = 0; i < kHandled.size(); ++i) {
    const auto [signal, once, words] = kHandled[i];
    sigaction(signal, nullptr, &previous_[i]);
    if (previous_[i].sa_handler == SIG_IGN) continue;
    struct sigaction action = {};
    action.sa_handler = note_signal;
    action.sa_flags = (once ? static_cast<int>(SA_RESETHAND) : 0) | SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  if (!outermost_) return;
  guarded = false;
  for (std::size_t i = 0; i < kHandled.size(); ++i) sigaction(kHandled[i].signal, &previous_[i], nullptr);
}

int InterruptGuard::signal() { return arrived; }

const char* InterruptGuard::in_words() {
  for (const Handled& handled : kHandled) {
    if (handled.signal == arrived) return handled.words;
  }
  return "interrupted";
}

}  // namespace convoy
