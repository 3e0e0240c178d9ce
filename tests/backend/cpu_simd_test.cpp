// What the CPU backend's loops run on.
#include "engine/backend/cpu/simd.h"

#include <gmock/gmock.h>
#include <hwy/highway.h>

#include <cstdlib>
#include <string>

#include "engine/backend/cpu/cpu.h"

namespace convoy::cpu {
namespace {

TEST(CpuSimd, LoopsKeepToWhatOneDnnMayUse) {
  const auto backend = make_cpu_backend();
  EXPECT_THAT(backend->description(), testing::HasSubstr("Highway " + simd_target()));
  const char* const limit = std::getenv("ONEDNN_MAX_CPU_ISA");
  if (limit != nullptr && std::string(limit) == "AVX2") {
    EXPECT_EQ(simd_target(), "AVX2");
  }

  // What calls run on is what its name says.
  const std::size_t chosen = hwy::GetChosenTarget().GetIndex();
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  EXPECT_EQ(chosen, hwy::GetChosenTarget().GetIndex());
}

}  // namespace
}  // namespace convoy::cpu
