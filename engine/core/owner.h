// Owns a handle of a C library. An owner can be moved but not copied, so the handle is destroyed once.
#pragma once

#include <utility>

namespace convoy {

/// Owns a `Handle` and releases it with `Destroy`. The status that `Destroy` returns is ignored: it fails
/// only while the process ends, or because of an earlier error that was thrown already.
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
