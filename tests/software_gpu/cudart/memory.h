// Device memory: a range of addresses of its own that is open only while device work runs. Fresh memory is
// full of 0xFF (NaN), slack behind an allocation is watched, guard pages follow it, no address is used twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace software_gpu {

class DeviceMemory {
 public:
  static DeviceMemory& instance();

  /// Null if the device is full.
  void* allocate(std::size_t bytes);
  /// False if no live allocation begins there.
  bool free(void* pointer);
  /// Whether all of it lies within one live allocation.
  bool holds(const void* pointer, std::size_t bytes) const;
  /// The live allocation at or below an address, in words.
  void explain(std::uintptr_t address, char* text, std::size_t size) const;

  /// While one exists, device memory can be touched.
  class Window {
   public:
    Window();
    ~Window();
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;
  };

  /// Ends the program if something wrote behind an allocation. Needs a Window.
  void check_slack(const char* after) const;

  std::size_t used() const { return used_; }
  static constexpr std::size_t kTotal = std::size_t{16} << 30;
  /// Reports what is still allocated; returns whether anything is.
  bool report_leaks() const;

 private:
  struct Block {
    std::size_t bytes;
    std::uintptr_t first_page;
    std::size_t paged_bytes;
  };

  DeviceMemory();
  void protect(int protection) const;

  std::map<std::uintptr_t, Block> live_;
  std::uintptr_t top_;
  std::size_t used_ = 0;
  int windows_ = 0;
};

}  // namespace software_gpu
