// How every function of the runtime begins: it takes the lock, leaves a line in the trace, and fails if it
// was told to.
#pragma once

#include <string>

#include "tests/software_gpu/cudart/streams.h"
#include "tests/software_gpu/gpu.h"

// With an optional detail for the trace.
#define CUDART_CALL(...)                                                                       \
  const std::lock_guard call_guard(::software_gpu::lock());                                    \
  if (const int call_status = ::software_gpu::begin_call(__func__ __VA_OPT__(, ) __VA_ARGS__)) \
  return ::software_gpu::remember(static_cast<cudaError_t>(call_status))

// For what waits: it learns that the device has failed.
#define CUDART_WAITING_CALL()                                       \
  const std::lock_guard call_guard(::software_gpu::lock());         \
  if (const int call_status = ::software_gpu::begin_call(__func__)) \
  return ::software_gpu::lose_everything(static_cast<cudaError_t>(call_status))

// For what destroys: it does its work even if it then reports a failure.
#define CUDART_DESTROY_CALL()                               \
  const std::lock_guard call_guard(::software_gpu::lock()); \
  const auto call_status = static_cast<cudaError_t>(::software_gpu::begin_call(__func__))
