// Sole ownership of a C library's handle: move-only, destroyed once, never copied.
#pragma once

#include <utility>

namespace convoy {

/// Owns a `Handle` that `Destroy` releases. The status of `Destroy` is dropped: a failure there is either the
/// process shutting down or an earlier error that was already thrown.
template <typename Handle, auto Destroy>
class Owner {
 public:
  Owner() = default;
  explicit Owner(Handle handle) noexcept : handle_(handle) {}
  Owner(Owner&& other) noexcept : handle_(std::exchange(other.handle_, Handle{})) {}
  Owner& operator=(Owner&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Owner(const Owner&) = delete;  // one handle, one owner
  Owner& operator=(const Owner&) = delete;
  ~Owner() {
    if (handle_ != Handle{}) static_cast<void>(Destroy(handle_));
  }

  Handle get() const noexcept { return handle_; }
  explicit operator bool() const noexcept { return handle_ != Handle{}; }

 private:
  Handle handle_{};
};

}  // namespace convoy
