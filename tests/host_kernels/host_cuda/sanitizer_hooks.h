// What the sanitizers want to know about fibers. The hooks are weak: null where the program carries no such
// sanitizer, so that one build of the fiber engine serves all three.
#pragma once

#include <cstddef>

extern "C" {
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, std::size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom, std::size_t* size);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* address, std::size_t size);
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* token);
[[gnu::weak]] void __tsan_release(void* token);
}

namespace host_cuda {

/// ThreadSanitizer watches: memory must then not be allocated inside a fiber, nor fibers reused soon.
inline bool under_tsan() { return __tsan_create_fiber != nullptr; }

/// What happened before a release of a token happens before what follows an acquire of it.
inline void acquire(const void* token) {
  if (__tsan_acquire) __tsan_acquire(const_cast<void*>(token));
}
inline void release(const void* token) {
  if (__tsan_release) __tsan_release(const_cast<void*>(token));
}

}  // namespace host_cuda
