// The GPU's peak, by what its maker wrote: cuBLASLt's largest products, and copies of whole buffers.
#include <algorithm>
#include <functional>
#include <vector>

#include "engine/backend/cuda/cuda.h"
#include "engine/backend/cuda/layers/gemm.h"
#include "engine/backend/cuda/runtime/event_mark.h"
#include "engine/core/philox.h"

namespace convoy::cuda {
namespace {

constexpr double kLongEnough = 1.0;  // milliseconds: what a launch costs is little beside it
constexpr int kRepeats = 5;
constexpr std::int64_t kSmallestSide = 256, kLargestSide = 8192;  // of the matrices
// Bytes. The largest leaves every cache behind: no GPU has one of half a gigabyte.
constexpr std::size_t kSmallestCopy = std::size_t{16} << 20, kLargestCopy = std::size_t{512} << 20;

/// The fastest of several executions. One in front of each is not timed, so that the device is busy while
/// the host enqueues the one that is.
double fastest_ms(cudaStream_t stream, const std::function<void()>& enqueue) {
  double best = 0.0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    enqueue();
    const EventMark begin(stream);
    enqueue();
    const double elapsed = EventMark(stream).milliseconds_since(begin);
    best = repeat == 0 ? elapsed : std::min(best, elapsed);
  }
  return best;
}

/// Numbers of either sign from 0.5 to 1, in fp32 and bf16 alike: both have sign and exponent in the upper
/// half of a word. (Of zeros a GPU computes faster, for it takes less power.)
void fill(const DeviceTensor& tensor, std::size_t bytes, cudaStream_t stream) {
  constexpr std::size_t kBlock = std::size_t{1} << 20;  // words, again and again
  std::vector<std::uint16_t> words(kBlock);
  PhiloxSequence random({.seed = 1, .stream = 0});
  for (std::uint16_t& word : words) word = static_cast<std::uint16_t>((random.next() & 0x807fu) | 0x3f00u);
  for (std::size_t at = 0; at < bytes; at += kBlock * sizeof(std::uint16_t)) {
    copy_to_device(static_cast<char*>(tensor.data()) + at, words.data(),
                   std::min(bytes - at, kBlock * sizeof(std::uint16_t)), stream);
  }
}

double product_gflops(Context& context, std::int64_t side, double& milliseconds) {
  const DType type = context.activation();
  const auto bytes = static_cast<std::size_t>(side * side) * bytes_of(type);
  std::vector<std::shared_ptr<DeviceTensor>> tensors;
  for (int i = 0; i < 3; ++i) tensors.push_back(context.make_tensor({side, side}, type));
  const auto matrix = [&](std::size_t i) { return Matrix{tensors[i]->data(), type, side, side}; };
  for (std::size_t i = 0; i < 2; ++i) fill(*tensors[i], bytes, context.stream());
  Gemm product(
      context,
      {.a = matrix(0), .b = matrix(1), .c = matrix(2), .tf32 = context.precision() == Precision::tf32});
  context.prepare();
  milliseconds = fastest_ms(context.stream(), [&] { product.execute(); });
  const auto n = static_cast<double>(side);
  return 2.0 * n * n * n / milliseconds / 1e6;
}

double copy_gigabytes_per_second(Context& context, std::size_t bytes, double& milliseconds) {
  const Buffer from(bytes);
  const Buffer to(bytes);
  milliseconds = fastest_ms(context.stream(), [&] {
    CONVOY_CUDA(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, context.stream()));
  });
  return 2.0 * static_cast<double>(bytes) / milliseconds / 1e6;
}

/// measure(size, milliseconds) of the largest of growing sizes that memory suffices for, or of the first that
/// takes long enough. (Smaller products and copies are slower, or find all of it in a cache.)
template <typename Size, typename Measure>
double grown(Size smallest, Size largest, Measure measure) {
  double last = 0.0;
  double milliseconds = 0.0;
  for (Size size = smallest; size <= largest && milliseconds < kLongEnough; size *= 2) {
    try {
      last = measure(size, milliseconds);
    } catch (const Error&) {
      if (last == 0.0) throw;
      break;
    }
  }
  return last;
}

}  // namespace
}  // namespace convoy::cuda

namespace convoy {

DevicePeak measure_cuda_peak(std::optional<Precision> precision) {
  const std::string missing = cuda_backend_missing();
  if (!missing.empty()) throw Error(missing);
  cuda::Context context({.precision = precision});
  return {.gflops = cuda::grown(cuda::kSmallestSide, cuda::kLargestSide,
                                [&](std::int64_t side, double& milliseconds) {
                                  return cuda::product_gflops(context, side, milliseconds);
                                }),
          .gigabytes_per_second = cuda::grown(
              cuda::kSmallestCopy, cuda::kLargestCopy, [&](std::size_t bytes, double& milliseconds) {
                return cuda::copy_gigabytes_per_second(context, bytes, milliseconds);
              })};
}

}  // namespace convoy
