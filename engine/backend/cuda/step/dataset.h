// A data set as the batch kernel finds it: all of it on the device, or the part that is visited next.
#pragma once

#include <memory>
#include <string>

#include "engine/backend/cuda/runtime/context.h"
#include "kernels/batch.h"

namespace convoy::cuda {

class CudaDataset : public DeviceDataset {
 public:
  const Shape& image() const { return image_; }
  /// Where a batch is gathered from. Throws Error if there is nothing to visit yet.
  kernels::BatchSource source() const;
  /// Throws UsageError for a batch of more samples than can be there at once.
  virtual void require_rows(std::int64_t rows) const { static_cast<void>(rows); }

 protected:
  /// `entries` is how long the order on the device may be.
  CudaDataset(Context& context, const Dataset& dataset, std::size_t entries);

  /// Puts the cursor on `position`, behind all work so far.
  void set_cursor(std::int64_t position, std::int64_t length, std::int64_t epoch);

  Context& context() const { return context_; }
  std::uint32_t* order() const { return order_.as<std::uint32_t>(); }
  const std::string& name() const { return name_; }

 private:
  /// Pixels, labels, and the numbers of the samples in the order where those are not its places.
  virtual kernels::BatchSource samples_on_device() const = 0;

  Context& context_;
  std::string name_;
  Shape image_;
  Buffer scales_;
  Buffer order_;
  Buffer cursor_;
  bool ordered_ = false;
};

/// All of the data set, on the device. Throws CudaError, and Error if there is not the memory.
std::unique_ptr<CudaDataset> make_resident(Context& context, const Dataset& dataset);

/// A copy of the data set on the host, of which the samples that are visited next lie on the device: two
/// blocks, which take `bytes` together. While steps read the one, the other is filled: a thread gathers its
/// samples into page-locked memory, and a stream of its own copies them. Throws UsageError where `bytes` are
/// too few for two samples, CudaError, and Error if there is not the memory.
std::unique_ptr<CudaDataset> make_streamed(Context& context, const Dataset& dataset, std::int64_t bytes);

}  // namespace convoy::cuda
