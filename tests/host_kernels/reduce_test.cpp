// The reductions by themselves, called again and again within one kernel: their shared memory is used anew.
#include "kernels/reduce.h"

#include "kernels/launch.h"
#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

constexpr unsigned kRounds = 4;

void repeated_block_reduce_kernel(unsigned* out) {
  for (unsigned round = 0; round < kRounds; ++round) {
    const int sum = block_reduce(static_cast<int>(threadIdx.x + round), 0, Sum());
    if (sum >= 0) out[round * blockDim.x + threadIdx.x] = static_cast<unsigned>(sum);
  }
}

TEST(BlockReduce, EveryThreadGetsTheSumEveryTime) {
  for (const unsigned threads : {32u, 64u, 256u, 1024u}) {
    const auto out = in_every_order([&] {
      std::vector<unsigned> result(kRounds * threads);
      launch(repeated_block_reduce_kernel, {.threads = threads}, nullptr, result.data());
      return result;
    });
    for (unsigned round = 0; round < kRounds; ++round) {
      for (unsigned i = 0; i < threads; ++i) {
        ASSERT_EQ(out[round * threads + i], threads * (threads - 1) / 2 + threads * round);
      }
    }
  }
}

// Each block leaves its number; the last one adds them up, then all do it once more with another counter.
void last_block_kernel(unsigned* arrived, unsigned* parts, unsigned* sums) {
  for (unsigned round = 0; round < 2; ++round) {
    if (threadIdx.x == 1) parts[round * gridDim.x + blockIdx.x] = blockIdx.x + round;
    if (!is_last_block(&arrived[round], gridDim.x)) continue;
    unsigned sum = 0;
    for (unsigned i = 0; i < gridDim.x; ++i) sum += parts[round * gridDim.x + i];
    sums[round * blockDim.x + threadIdx.x] = sum;
  }
}

TEST(LastBlock, SeesWhatAllBlocksWroteAndLeavesTheCounterAtZero) {
  for (const unsigned blocks : {1u, 2u, 7u, 100u}) {
    std::vector<unsigned> arrived(2);
    const auto sums = in_every_order([&] {
      std::vector<unsigned> parts(2 * blocks), result(2 * 64);
      launch(last_block_kernel, {.blocks = blocks, .threads = 64}, nullptr, arrived.data(), parts.data(),
             result.data());
      return result;
    });
    EXPECT_EQ(arrived, (std::vector<unsigned>{0, 0}));
    for (unsigned i = 0; i < 64; ++i) {
      ASSERT_EQ(sums[i], blocks * (blocks - 1) / 2);
      ASSERT_EQ(sums[64 + i], blocks * (blocks - 1) / 2 + blocks);
    }
  }
}

}  // namespace
}  // namespace convoy::kernels
