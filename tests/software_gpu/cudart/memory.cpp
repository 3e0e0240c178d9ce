#include "tests/software_gpu/cudart/memory.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/software_gpu/gpu.h"

namespace software_gpu {
namespace {

constexpr std::uintptr_t kBase = 0x200000000000;  // ASan keeps its heap and shadow elsewhere
constexpr std::size_t kSpan = std::size_t{1} << 36;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kAlignment = 256;  // what cudaMalloc promises
constexpr unsigned char kFresh = 0xFF;
constexpr unsigned char kSlack = 0xA5;

std::size_t rounded_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

// A device address touched by the wrong party: says which allocation it belongs to.
void on_segmentation_fault(int signal, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  if (!is_device_address(info->si_addr)) {
    ::signal(signal, SIG_DFL);  // not ours: the instruction faults again and takes the usual way
    return;
  }
  char text[300];
  DeviceMemory::instance().explain(address, text, sizeof text);
  static_cast<void>(!write(STDERR_FILENO, text, std::strlen(text)));
  _exit(134);
}

}  // namespace

bool is_device_address(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  return address >= kBase && address < kBase + kSpan;
}

DeviceMemory& DeviceMemory::instance() {
  static auto* memory = new DeviceMemory;  // never destroyed: exit handlers still free into it
  return *memory;
}

DeviceMemory::DeviceMemory() : top_(kBase) {
  void* base = reinterpret_cast<void*>(kBase);
  if (mmap(base, kSpan, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
           0) != base) {
    die("the device's addresses are taken");
  }
  struct sigaction action {};
  action.sa_sigaction = on_segmentation_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
}

void* DeviceMemory::allocate(std::size_t bytes) {
  const std::size_t padded = rounded_up(bytes, kAlignment);
  const std::size_t paged = rounded_up(padded, kPage);
  if (used_ + paged > kTotal || top_ + paged + kPage > kBase + kSpan) return nullptr;
  const Block block{bytes, top_, paged};
  const std::uintptr_t address = top_ + paged - padded;  // its end is the page's end, nearly
  top_ += paged + kPage;                                 // the page behind always faults

  void* pages = reinterpret_cast<void*>(block.first_page);
  mprotect(pages, paged, PROT_READ | PROT_WRITE);
  std::memset(pages, kSlack, paged);
  std::memset(reinterpret_cast<void*>(address), kFresh, bytes);
  if (windows_ == 0) mprotect(pages, paged, PROT_NONE);
  live_[address] = block;
  used_ += paged;
  return reinterpret_cast<void*>(address);
}

bool DeviceMemory::free(void* pointer) {
  const auto found = live_.find(reinterpret_cast<std::uintptr_t>(pointer));
  if (found == live_.end()) return false;
  void* pages = reinterpret_cast<void*>(found->second.first_page);
  mprotect(pages, found->second.paged_bytes, PROT_NONE);
  madvise(pages, found->second.paged_bytes, MADV_DONTNEED);
  used_ -= found->second.paged_bytes;
  live_.erase(found);
  return true;
}

bool DeviceMemory::holds(const void* pointer, std::size_t bytes) const {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  auto found = live_.upper_bound(address);
  if (found == live_.begin()) return false;
  --found;
  return address + bytes <= found->first + found->second.bytes;
}

void DeviceMemory::explain(std::uintptr_t address, char* text, std::size_t size) const {
  auto found = live_.upper_bound(address);
  if (found == live_.begin()) {
    std::snprintf(text, size, "software GPU: access to %#lx, where nothing is allocated\n", address);
    return;
  }
  --found;
  const std::size_t offset = address - found->first;
  const char* who = windows_ > 0 ? "device code" : "host code";
  const char* what = offset < found->second.bytes ? "inside" : "beyond (or freed, behind)";
  std::snprintf(text, size,
                "software GPU: %s touches %#lx, offset %zu %s the allocation of %zu bytes at %#lx\n", who,
                address, offset, what, found->second.bytes, found->first);
}

void DeviceMemory::protect(int protection) const {
  for (const auto& [address, block] : live_) {
    mprotect(reinterpret_cast<void*>(block.first_page), block.paged_bytes, protection);
  }
}

DeviceMemory::Window::Window() {
  DeviceMemory& memory = instance();
  if (memory.windows_++ == 0) memory.protect(PROT_READ | PROT_WRITE);
}

DeviceMemory::Window::~Window() {
  DeviceMemory& memory = instance();
  if (--memory.windows_ == 0) memory.protect(PROT_NONE);
}

void DeviceMemory::check_slack(const char* after) const {
  for (const auto& [address, block] : live_) {
    const auto* begin = reinterpret_cast<const unsigned char*>(block.first_page);
    const auto* own = reinterpret_cast<const unsigned char*>(address);
    const auto* end = begin + block.paged_bytes;
    const auto intact = [](const unsigned char* from, const unsigned char* to) {
      while (from < to && *from == kSlack) ++from;
      return from == to;
    };
    if (!intact(own + block.bytes, end) || !intact(begin, own)) {
      die(std::string(after) + " wrote outside an allocation of " + std::to_string(block.bytes) + " bytes");
    }
  }
}

bool DeviceMemory::report_leaks() const {
  for (const auto& [address, block] : live_) {
    std::fprintf(stderr, "software GPU: leaked %zu bytes of device memory at %#lx\n", block.bytes, address);
  }
  return !live_.empty();
}

}  // namespace software_gpu
