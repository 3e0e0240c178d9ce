// The checked launch and its error.
#include "kernels/launch.h"

#include <gmock/gmock.h>

#include "kernels/pack.h"

namespace convoy::kernels {
namespace {

using testing::HasSubstr;

void store_thread_kernel(unsigned* out) {
  out[blockIdx.x * blockDim.x + threadIdx.x] = threadIdx.x + 10 * blockIdx.x;
}

TEST(Launch, RunsEveryThreadOfEveryBlock) {
  std::vector<unsigned> out(6);
  launch(store_thread_kernel, {.blocks = 2, .threads = 3}, nullptr, out.data());
  EXPECT_EQ(out, (std::vector<unsigned>{0, 1, 2, 10, 11, 12}));
}

TEST(Launch, RefusalNamesShapeCauseAndPlace) {
  unsigned out = 0;
  try {
    launch(store_thread_kernel, {.blocks = 3, .threads = 2048}, nullptr, &out);
    FAIL() << "a block of 2048 threads was accepted";
  } catch (const CudaError& error) {
    EXPECT_EQ(error.code(), cudaErrorInvalidConfiguration);
    EXPECT_THAT(error.what(), HasSubstr("3 x 1 blocks of 2048 threads"));
    EXPECT_THAT(error.what(), HasSubstr("RefusalNamesShapeCauseAndPlace"));
    EXPECT_THAT(error.what(), HasSubstr("invalid configuration argument (cudaErrorInvalidConfiguration, "));
    EXPECT_THAT(error.what(), HasSubstr("launch_test.cpp:"));
    EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
  }
}

TEST(Launch, NoBlocksIsRefused) {
  unsigned out = 0;
  EXPECT_THROW(launch(store_thread_kernel, {.blocks = 0, .threads = 32}, nullptr, &out), CudaError);
}

TEST(Launch, BlocksCoverTheLastElement) {
  EXPECT_EQ(blocks_for(0, 256), 0u);
  EXPECT_EQ(blocks_for(1, 256), 1u);
  EXPECT_EQ(blocks_for(256, 256), 1u);
  EXPECT_EQ(blocks_for(257, 256), 2u);
  EXPECT_EQ(blocks_for(std::int64_t{0x7fffffff} * 256, 256), 0x7fffffffu);
  EXPECT_THROW(blocks_for(std::int64_t{0x7fffffff} * 256 + 1, 256), Error);
}

TEST(Launch, AMapsShapeIsItsCallers) {
  const auto line = std::source_location::current().line();
  const LaunchShape shape = map_shape<float>(1025);
  EXPECT_EQ(shape.where.line(), line + 1);
  EXPECT_EQ(shape.blocks, 2u);
  EXPECT_EQ((map_shape<float, __nv_bfloat16>(1025).blocks), 2u);  // the wider type decides
  EXPECT_EQ(map_shape<__nv_bfloat16>(1025).blocks, 1u);
}

TEST(CheckCuda, EvaluatesOnceAndQuotesTheCall) {
  int calls = 0;
  const auto call = [&](cudaError_t code) {
    ++calls;
    return code;
  };
  EXPECT_NO_THROW(CONVOY_CUDA(call(cudaSuccess)));
  EXPECT_EQ(calls, 1);
  try {
    CONVOY_CUDA(call(cudaErrorInvalidConfiguration));
    FAIL() << "a failed call went unnoticed";
  } catch (const Error& error) {
    EXPECT_EQ(calls, 2);
    EXPECT_THAT(error.what(), HasSubstr("call(cudaErrorInvalidConfiguration) failed: "));
  }
}

}  // namespace
}  // namespace convoy::kernels
