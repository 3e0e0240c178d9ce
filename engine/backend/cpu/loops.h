// What the loops of several operations share.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

namespace convoy::cpu {

/// Loops shorter than this run on one thread: waking the others takes longer than the loop.
constexpr std::int64_t kParallelFrom = 16384;

enum class Walk { forward, backward };

/// Calls `body(i)` for 0 .. count. Each thread has the neighbours that a static schedule gives it, and walks
/// them from the first to the last or back: a loop that begins where the one before ended finds there what is
/// still in the thread's cache.
template <typename Body>
void walk(std::int64_t count, Walk direction, Body body) {
#pragma omp parallel
  {
    const std::int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
    const std::int64_t size = count / threads, rest = count % threads;
    const std::int64_t begin = thread * size + std::min(thread, rest);
    const std::int64_t end = begin + size + (thread < rest ? 1 : 0);
    for (std::int64_t i = begin; i < end; ++i) body(direction == Walk::forward ? i : begin + end - 1 - i);
  }
}

/// Calls `part(begin, end)` for parts of 0 .. count, on all threads: the same parts whatever their number.
template <typename Part>
void in_parallel(std::int64_t count, Part part) {
  constexpr std::int64_t kPart = 4096;  // floats: whole cache lines and few calls
#pragma omp parallel for schedule(static) if (count >= kParallelFrom)
  for (std::int64_t begin = 0; begin < count; begin += kPart) part(begin, std::min(count, begin + kPart));
}

/// One of elementwise_loops.h over whole tensors of one size, on all threads.
template <typename T>
void combine_all(void (*loop)(const T*, const T*, T*, std::int64_t),
                 std::span<const std::type_identity_t<T>> a, std::span<const std::type_identity_t<T>> b,
                 std::span<std::type_identity_t<T>> out) {
  in_parallel(std::ssize(out), [&](std::int64_t begin, std::int64_t end) {
    loop(a.data() + begin, b.data() + begin, out.data() + begin, end - begin);
  });
}

}  // namespace convoy::cpu
