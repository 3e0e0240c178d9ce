#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <future>
#include <numeric>
#include <vector>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/cuda/runtime/event.h"
#include "engine/backend/cuda/step/dataset.h"
#include "engine/core/background.h"
#include "kernels/cuda_error.h"

namespace convoy::cuda {
namespace {

using PinnedMemory = Owner<void*, cudaFreeHost>;

PinnedMemory make_pinned(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // not sticky: cleared, so that the next check does not report it again
    throw Error(
        fmt::format("{} bytes of the host's memory cannot be page-locked to stream the data set to the GPU: "
                    "let a smaller part of it lie there (--data-memory)",
                    bytes));
  }
  check_cuda(status, "cudaMallocHost");
  return PinnedMemory(memory);
}

/// A block of the order: how many samples, and what they take.
struct BlockSize {
  std::size_t samples = 0;
  std::size_t image = 0;  // bytes

  std::size_t pixels() const { return samples * image; }
  std::size_t labels() const { return samples; }
  std::size_t numbers() const { return samples * sizeof(std::uint32_t); }
};

/// A block on the host, page-locked, so that it is copied while the host does other things.
class PinnedBlock {
 public:
  explicit PinnedBlock(const BlockSize& size)
      : pixels_(make_pinned(size.pixels())),
        labels_(make_pinned(size.labels())),
        numbers_(make_pinned(size.numbers())) {}

  std::uint8_t* pixels() const { return static_cast<std::uint8_t*>(pixels_.get()); }
  std::uint8_t* labels() const { return static_cast<std::uint8_t*>(labels_.get()); }
  std::uint32_t* numbers() const { return static_cast<std::uint32_t*>(numbers_.get()); }

 private:
  PinnedMemory pixels_;
  PinnedMemory labels_;
  PinnedMemory numbers_;
};

/// The order in blocks, of which the even ones lie in the first half of the device's memory and the odd ones
/// in the second. The device sees an order of two blocks whose entries are always new: entry e of the whole
/// is its entry e modulo that length.
///
/// A block goes three ways: a thread gathers it into page-locked memory, a stream of its own copies it to the
/// device, steps read it. Each waits for the one before, and for that which the block before the last did
/// with the same memory.
class StreamedDataset final : public CudaDataset {
 public:
  StreamedDataset(Context& context, const Dataset& dataset, const BlockSize& size)
      : CudaDataset(context, dataset, 2 * size.samples),
        dataset_(dataset),
        size_(size),
        pixels_(2 * size.pixels()),
        labels_(2 * size.labels()),
        numbers_(2 * size.numbers()),
        pinned_{PinnedBlock(size), PinnedBlock(size)} {
    CONVOY_CUDA(cudaGetDevice(&device_));
    std::vector<std::uint32_t> places(2 * size.samples);  // an entry of the order is the place of its sample
    std::iota(places.begin(), places.end(), 0u);
    copy_to_device(order(), places.data(), places.size() * sizeof(std::uint32_t), context.stream());
  }

  ~StreamedDataset() override {
    if (gathering_.valid()) gathering_.wait();
    static_cast<void>(cudaStreamSynchronize(copies_.get()));  // it still reads page-locked memory
  }

  void set_order(std::span<const std::uint32_t> order, std::int64_t begin, std::int64_t epoch) override {
    check_order(order, begin, dataset_.labels.size(), name());
    set_cursor(begin % (2 * samples()), 2 * samples(), epoch);  // waits for the steps so far
    if (gathering_.valid()) gathering_.get();
    CONVOY_CUDA(cudaStreamSynchronize(copies_.get()));
    order_.assign(order.begin(), order.end());
    next_ = begin;
    first_ = entered_ = copied_ = awaited_ = begin / samples();
    start_gathering(first_);
  }

  void require_rows(std::int64_t rows) const override {
    if (rows <= samples()) return;
    throw UsageError(fmt::format(
        "{}: a batch of {} images is asked for, and {} at a time are streamed to the GPU: take a smaller "
        "batch, or let more of them lie there (--data-memory)",
        name(), rows, samples()));
  }

  std::int64_t provide(std::int64_t rows, std::int64_t steps) override {
    if (order_.empty()) throw Error("a batch was asked for before the data set had an order");
    const std::int64_t in_order = std::ssize(order_) - next_;
    if (rows > in_order) {
      throw Error(
          fmt::format("{}: a batch of {} asked for, but {} of {} samples are left; set the order again",
                      name(), rows, in_order, order_.size()));
    }
    enter(next_ / samples());
    const std::int64_t in_block = (entered_ + 1) * samples() - next_;
    const std::int64_t ready = std::min({std::max<std::int64_t>(in_block / rows, 1), in_order / rows, steps});
    const std::int64_t last = (next_ + ready * rows - 1) / samples();  // the next block for one step at most
    while (copied_ <= last) copy_next();
    for (; awaited_ <= last; ++awaited_) {
      CONVOY_CUDA(cudaStreamWaitEvent(context().stream(), half(awaited_).copied.get(), 0));
    }
    next_ += ready * rows;
    if (copied_ == entered_ + 1 && is_gathered()) copy_next();
    return ready;
  }

 private:
  /// What orders the uses of one half of the memory.
  struct Half {
    Event copied = make_event();  // the last copy from the host's half to the device's
    Event read = make_event();    // by all steps that have a row in it
  };

  kernels::BatchSource samples_on_device() const override {
    return {.pixels = pixels_.as<std::uint8_t>(),
            .labels = labels_.as<std::uint8_t>(),
            .numbers = numbers_.as<std::uint32_t>()};
  }

  std::int64_t samples() const { return static_cast<std::int64_t>(size_.samples); }
  Half& half(std::int64_t block) { return halves_[static_cast<std::size_t>(block % 2)]; }

  /// From now on steps begin in `block`: all that have a row in the one before are enqueued.
  void enter(std::int64_t block) {
    if (block == entered_) return;
    CONVOY_CUDA(cudaEventRecord(half(entered_).read.get(), context().stream()));
    entered_ = block;
  }

  bool is_gathered() const {
    return gathering_.valid() && gathering_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  /// Behind enter() of the block before: the steps that read what is overwritten are known. There must be
  /// such a block in the order.
  void copy_next() {
    const std::int64_t block = copied_;
    wait_until([this] { return gathering_.wait_for(std::chrono::seconds(0)) != std::future_status::timeout; },
               context().stream());
    gathering_.get();
    if (block >= first_ + 2) CONVOY_CUDA(cudaStreamWaitEvent(copies_.get(), half(block).read.get(), 0));
    const auto which = static_cast<std::size_t>(block % 2);
    const PinnedBlock& from = pinned_[which];
    const BlockSize size{samples_of(block), size_.image};
    copy(pixels_.as<std::uint8_t>() + which * size_.pixels(), from.pixels(), size.pixels());
    copy(labels_.as<std::uint8_t>() + which * size_.labels(), from.labels(), size.labels());
    copy(numbers_.as<std::uint32_t>() + which * size_.samples, from.numbers(), size.numbers());
    CONVOY_CUDA(cudaEventRecord(half(block).copied.get(), copies_.get()));
    ++copied_;
    if (copied_ * samples() < std::ssize(order_)) start_gathering(copied_);
  }

  void copy(void* to, const void* from, std::size_t bytes) const {
    CONVOY_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, copies_.get()));
  }

  void start_gathering(std::int64_t block) {
    gathering_ = in_background([this, block] {
      CONVOY_CUDA(cudaSetDevice(device_));  // a new thread begins with the first
      if (block >= first_ + 2) CONVOY_CUDA(cudaEventSynchronize(half(block).copied.get()));
      gather(block, pinned_[static_cast<std::size_t>(block % 2)]);
    });
  }

  /// The order's last block may be cut.
  std::size_t samples_of(std::int64_t block) const {
    return std::min(size_.samples, order_.size() - static_cast<std::size_t>(block) * size_.samples);
  }

  void gather(std::int64_t block, const PinnedBlock& to) const {
    const std::uint32_t* const of_block = &order_[static_cast<std::size_t>(block) * size_.samples];
    for (std::size_t i = 0; i < samples_of(block); ++i) {
      const std::uint32_t sample = of_block[i];
      std::memcpy(to.pixels() + i * size_.image, dataset_.pixels.data() + sample * size_.image, size_.image);
      to.labels()[i] = dataset_.labels[sample];
      to.numbers()[i] = sample;
    }
  }

  Dataset dataset_;
  BlockSize size_;
  Buffer pixels_;
  Buffer labels_;
  Buffer numbers_;
  std::array<PinnedBlock, 2> pinned_;
  std::array<Half, 2> halves_;
  Stream copies_ = make_own_stream();
  int device_ = 0;
  std::vector<std::uint32_t> order_;
  std::int64_t next_ = 0;        // entry of the order that the next step begins with
  std::int64_t first_ = 0;       // block of this order that was copied
  std::int64_t entered_ = 0;     // block that the next step begins in
  std::int64_t copied_ = 0;      // blocks before this one are copied, or a copy is enqueued
  std::int64_t awaited_ = 0;     // for blocks before this one the steps' stream waits
  std::future<void> gathering_;  // of block copied_
};

}  // namespace

std::unique_ptr<CudaDataset> make_streamed(Context& context, const Dataset& dataset, std::int64_t bytes) {
  constexpr std::int64_t kMost = std::int64_t{1} << 29;  // two blocks have to fit into a cursor's length
  const auto image = static_cast<std::int64_t>(dataset.image.count());
  const std::int64_t samples = std::min({bytes / 2 / image, dataset.count(), kMost});
  if (samples < 1) {
    throw UsageError(
        fmt::format("{}: {} bytes of the GPU's memory hold no two images of {}: let more of them lie there "
                    "(--data-memory)",
                    dataset.name, bytes, dataset.image.str()));
  }
  return std::make_unique<StreamedDataset>(
      context, dataset, BlockSize{static_cast<std::size_t>(samples), static_cast<std::size_t>(image)});
}

}  // namespace convoy::cuda
