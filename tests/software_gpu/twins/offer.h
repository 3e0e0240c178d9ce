// Included before a kernel file that is compiled as a twin. The launchers in it are never called; but each
// instantiates its launch with the kernel's parameters, which is all that is needed to call the kernel later.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <tuple>
#include <typeinfo>
#include <utility>

#include "tests/software_gpu/twins/twin.h"

namespace software_gpu {

template <typename... Parameters, std::size_t... I>
std::function<void()> bind_arguments(void* function, void** arguments, std::index_sequence<I...>) {
  const std::tuple<Parameters...> bound(*static_cast<Parameters*>(arguments[I])...);
  const auto kernel = reinterpret_cast<void (*)(Parameters...)>(function);
  return [=] { std::apply(kernel, bound); };
}

template <typename... Parameters>
std::function<void()> bind(void* function, [[maybe_unused]] void** arguments) {
  return bind_arguments<Parameters...>(function, arguments, std::index_sequence_for<Parameters...>{});
}

template <typename... Parameters>
inline const bool kOffered = (offer_binder(typeid(void(Parameters...)).name(), bind<Parameters...>), true);

template <typename... Parameters, typename... Arguments>
cudaError_t offer_launch(const cudaLaunchConfig_t*, void (*kernel)(Parameters...), Arguments&&...) {
  asm volatile("" : : "r"(kernel));  // or else nobody needs the kernel's code
  static_cast<void>(kOffered<Parameters...>);
  return refuse_launch();
}

}  // namespace software_gpu

#define cudaLaunchKernelEx ::software_gpu::offer_launch
