#include "tests/host_kernels/host_cuda/fiber.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

#include "tests/host_kernels/host_cuda/sanitizer_hooks.h"

namespace host_cuda {
namespace {

constexpr std::size_t kStackBytes = 256 * 1024;
constexpr std::size_t kGuardBytes = 4096;
constexpr unsigned kNoSynchronisation = 1;  // a switch of fibers orders nothing: only barriers do

Fiber* leaving = nullptr;   // who switched last
Fiber* entering = nullptr;  // whom to

}  // namespace

Fiber::Fiber() {
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuardBytes, PROT_NONE) != 0) throw std::bad_alloc();
  mapping_ = static_cast<char*>(memory);
  bottom_ = mapping_ + kGuardBytes;
  size_ = kStackBytes;
  if (under_tsan()) tsan_ = __tsan_create_fiber(0);
}

Fiber::Fiber(Caller) {
  if (under_tsan()) tsan_ = __tsan_get_current_fiber();
}

Fiber::~Fiber() {
  if (!mapping_) return;
  if (tsan_) __tsan_destroy_fiber(tsan_);
  munmap(mapping_, kGuardBytes + kStackBytes);
}

void Fiber::prepare(void (*entry)()) {
  // Frames that ended here without returning leave their red zones behind.
  if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(bottom_, size_);
  entry_ = entry;
  context_ = boost::context::detail::make_fcontext(mapping_ + kGuardBytes + kStackBytes, kStackBytes, start);
}

void Fiber::switch_to(Fiber& to) {
  jump(to, &fake_stack_);
  if (__sanitizer_finish_switch_fiber) {
    __sanitizer_finish_switch_fiber(fake_stack_, &leaving->bottom_, &leaving->size_);
  }
}

void Fiber::leave_to(Fiber& to) {
  jump(to, nullptr);
  std::abort();  // prepare() starts this fiber afresh, never here
}

void Fiber::jump(Fiber& to, void** fake_stack) {
  if (__sanitizer_start_switch_fiber) __sanitizer_start_switch_fiber(fake_stack, to.bottom_, to.size_);
  if (__tsan_switch_to_fiber) __tsan_switch_to_fiber(to.tsan_, kNoSynchronisation);
  leaving = this;
  entering = &to;
  landed(boost::context::detail::jump_fcontext(to.context_, nullptr));
}

void Fiber::landed(boost::context::detail::transfer_t transfer) { leaving->context_ = transfer.fctx; }

void Fiber::start(boost::context::detail::transfer_t transfer) {
  landed(transfer);
  if (__sanitizer_finish_switch_fiber) {
    // Tells the bounds of the stack we came from: how the program's own stack becomes known.
    __sanitizer_finish_switch_fiber(nullptr, &leaving->bottom_, &leaving->size_);
  }
  entering->entry_();
  std::abort();
}

}  // namespace host_cuda
