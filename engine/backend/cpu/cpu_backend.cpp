#include "engine/backend/cpu/cpu_backend.h"

#include <fmt/format.h>

#include <fstream>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu.h"
#include "engine/backend/cpu/simd.h"

namespace convoy {
namespace {

/// "AMD EPYC 7763", as Linux has it; "CPU" where it does not say (not all architectures do).
std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

/// "1 thread" or "2 threads"; "1 of 2 threads" where fewer are given than were asked for.
std::string in_words(const cpu::Threads& threads) {
  if (threads.given == threads.asked)
    return fmt::format("{} thread{}", threads.given, threads.given == 1 ? "" : "s");
  return fmt::format("{} of {} threads", threads.given, threads.asked);
}

/// The widest instruction set that oneDNN uses here; it may be limited by ONEDNN_MAX_CPU_ISA.
std::string instruction_set() {
  using dnnl::cpu_isa;
  switch (dnnl::get_effective_cpu_isa()) {
    case cpu_isa::sse41:
      return "SSE4.1";
    case cpu_isa::avx:
      return "AVX";
    case cpu_isa::avx2:
      return "AVX2";
    case cpu_isa::avx2_vnni:
      return "AVX2 with VNNI";
    case cpu_isa::avx512_core:
      return "AVX-512";
    case cpu_isa::avx512_core_vnni:
      return "AVX-512 with VNNI";
    case cpu_isa::avx512_core_bf16:
      return "AVX-512 with BF16";
    case cpu_isa::avx512_core_amx:
      return "AVX-512 with AMX";
    default:
      return "default instructions";
  }
}

std::string onednn_version() {
  const dnnl_version_t& version = *dnnl_version();
  return fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
}

/// Whether oneDNN may use instructions for bf16. Newer sets of AVX-512 have all bits of that one.
bool has_bf16() {
  const auto least = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & least) == least;
}

}  // namespace

std::string cpu::CpuBackend::description() const {
  return fmt::format("{}, {}, oneDNN {} ({}), Highway {}{}", cpu_model(), in_words(device_.threads()),
                     onednn_version(), instruction_set(), simd_target(),
                     activation_ == DType::bfloat16 ? ", bf16" : "");
}

std::string cpu_backend_missing() { return {}; }

Versions cpu_versions() { return {{"oneDNN", onednn_version()}}; }

std::unique_ptr<Backend> make_cpu_backend(const DeviceOptions& options) {
  const Precision precision = options.precision.value_or(Precision::fp32);
  if (precision == Precision::tf32) throw UsageError("cpu: it knows no tf32, take fp32 or bf16");
  if (precision == Precision::bf16 && !has_bf16()) {
    throw Error("cpu: this CPU has no bf16 instructions (AVX-512 BF16 or AMX): take fp32");
  }
  try {
    return std::make_unique<cpu::CpuBackend>(options);
  } catch (const dnnl::error& error) {
    throw Error(fmt::format("cpu: oneDNN does not start: {}", error.what()));
  }
}

}  // namespace convoy
