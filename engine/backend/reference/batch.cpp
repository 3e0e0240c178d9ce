// The data set as bytes, and the operation that turns the next of them into a batch.
#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"

namespace convoy::reference {
namespace {

/// What happens to one row of a batch: it is flipped, turned and scaled, shifted, and loses a square.
struct Draw {
  std::int64_t dy = 0, dx = 0;
  bool flip = false;
  Padding padding = Padding::zeros;
  bool turns = false;
  std::int64_t cos = 65536, sin = 0;  // over the scale, in 1/65536
  std::int64_t side = 0;              // of the square around pixel (y, x)
  std::int64_t y = 0, x = 0;
};

/// A division that rounds down, as >> does.
std::int64_t floor_of(std::int64_t numerator, std::int64_t denominator) {
  const std::int64_t quotient = numerator / denominator;
  return quotient * denominator > numerator ? quotient - 1 : quotient;
}

/// One of `count` equal parts of the range of a word.
std::int64_t part_of(std::uint32_t word, std::int64_t count) {
  return static_cast<std::int64_t>(std::uint64_t{word} * static_cast<std::uint64_t>(count) / 4294967296u);
}

/// Part `part` of 1025 of the way from -most to most.
double spread(double most, std::int64_t part) {
  return most * (2.0 * static_cast<double>(part) / 1024.0 - 1.0);
}

/// What kernels/augmentation_math.h says in words, without its code.
Draw draw_of(const AugmentationSource& augmentation, std::size_t row, std::uint32_t sample,
             const HostDataset& dataset) {
  const AugmentationOptions& options = augmentation.options;
  const auto step = static_cast<std::uint32_t>(augmentation.counter->read());
  const auto place = static_cast<std::uint32_t>(augmentation.random.first + row);
  const auto words = [&](std::uint32_t first, std::uint32_t second, std::uint32_t third) {
    return philox(augmentation.random.seed, {{first, second, third, augmentation.random.stream}});
  };
  const Philox4 move = words(place, 0, step), more = words(place, 1, step), once = words(sample, 1, 0);
  Draw draw;
  draw.dy = part_of(move.word[0], 2 * options.max_shift + 1) - options.max_shift;
  draw.dx = part_of(move.word[1], 2 * options.max_shift + 1) - options.max_shift;
  draw.padding = options.padding;
  if (options.flip == Flip::random) draw.flip = move.word[2] >= 2147483648u;
  if (options.flip == Flip::alternating) {
    const bool even_epoch = dataset.epoch() % 2 == 0;
    draw.flip = (once.word[0] >= 2147483648u) == even_epoch;
  }
  draw.side = options.cutout;
  draw.y = part_of(more.word[0], dataset.dataset().image[1]);
  draw.x = part_of(more.word[1], dataset.dataset().image[2]);
  if (options.max_rotation == 0.0 && options.max_scaling == 0.0) return draw;
  draw.turns = true;
  const double angle = spread(options.max_rotation, part_of(more.word[2], 1025)) * std::numbers::pi / 180.0;
  const std::int64_t inverse =
      std::lround(65536.0 / (1.0 + spread(options.max_scaling, part_of(more.word[3], 1025))));
  draw.cos = floor_of(std::lround(65536.0 * std::cos(angle)) * inverse + 32768, 65536);
  draw.sin = floor_of(std::lround(65536.0 * std::sin(angle)) * inverse + 32768, 65536);
  return draw;
}

/// How evaluation sees its images.
Draw draw_of(const ImageView& view) {
  Draw draw;
  draw.dy = view.dy;
  draw.dx = view.dx;
  draw.flip = view.flip;
  draw.padding = Padding::reflect;
  return draw;
}

template <typename T>
class BatchOperation final : public Operation {
 public:
  BatchOperation(HostDataset& dataset, std::shared_ptr<RealTensor<T>> images,
                 std::shared_ptr<LabelTensor> labels, const AugmentationSource& augmentation)
      : dataset_(dataset),
        images_(std::move(images)),
        labels_(std::move(labels)),
        augmentation_(augmentation),
        augments_(augments(augmentation, dataset.dataset().image)) {
    check_view(augmentation.view, dataset.dataset().image);
  }

  void forward(Phase phase) override {
    const Dataset& source = dataset_.dataset();
    const Shape& image = source.image;
    const auto images = images_->values();
    const auto labels = labels_->values();
    std::int64_t out = 0;
    std::size_t row = 0;
    for (const std::int64_t sample : dataset_.next(labels.size())) {
      const Draw draw = phase == Phase::evaluation ? draw_of(augmentation_.view)
                        : augments_
                            ? draw_of(augmentation_, row, static_cast<std::uint32_t>(sample), dataset_)
                            : Draw{};
      labels[row++] = source.labels[sample];
      for (std::int64_t c = 0; c < image[0]; ++c) {
        const double mean = at(source.normalization.mean, c), deviation = at(source.normalization.std, c);
        for (std::int64_t y = 0; y < image[1]; ++y) {
          for (std::int64_t x = 0; x < image[2]; ++x) {
            const auto byte = static_cast<double>(drawn_byte(sample, c, y, x, draw));
            images[out++] = is_cut(y, x, draw) ? T{0} : static_cast<T>((byte / 255.0 - mean) / deviation);
          }
        }
      }
    }
  }

  void backward() override {}  // bytes have no gradient

 private:
  static double at(const std::vector<float>& values, std::int64_t channel) {
    return values.size() == 1 ? values[0] : values[channel];
  }

  static bool is_cut(std::int64_t y, std::int64_t x, const Draw& draw) {
    const std::int64_t down = y - draw.y + draw.side / 2, right = x - draw.x + draw.side / 2;
    return down >= 0 && down < draw.side && right >= 0 && right < draw.side;
  }

  /// Pixel (y, x) of the sample as the draw leaves it: flipped first, then turned, then shifted.
  std::int64_t drawn_byte(std::int64_t sample, std::int64_t c, std::int64_t y, std::int64_t x,
                          const Draw& draw) const {
    y += draw.dy;
    x += draw.dx;
    if (!draw.turns) return flipped_byte(sample, c, y, x, draw);
    // Where the pixel comes from: about the middle, in 1/131072 of a pixel.
    const Shape& image = dataset_.dataset().image;
    const std::int64_t below = 2 * y - (image[1] - 1), right = 2 * x - (image[2] - 1);
    const std::int64_t from_y = draw.cos * below - draw.sin * right + (image[1] - 1) * 65536;
    const std::int64_t from_x = draw.cos * right + draw.sin * below + (image[2] - 1) * 65536;
    const std::int64_t whole_y = floor_of(from_y, 131072), whole_x = floor_of(from_x, 131072);
    const std::int64_t part_y = (from_y - whole_y * 131072) / 32, part_x = (from_x - whole_x * 131072) / 32;
    std::int64_t sum = 0;  // of four pixels by their weights, in 1/4096 each way
    for (const std::int64_t i : {0, 1}) {
      for (const std::int64_t k : {0, 1}) {
        const std::int64_t weight = (i == 0 ? 4096 - part_y : part_y) * (k == 0 ? 4096 - part_x : part_x);
        sum += weight * flipped_byte(sample, c, whole_y + i, whole_x + k, draw);
      }
    }
    return (sum + 8388608) / 16777216;  // to the nearest byte
  }

  /// Mirrored at the first and the last pixel: ... 2 1 0 1 2 ... n-2 n-1 n-2 ...
  static std::int64_t mirrored(std::int64_t at, std::int64_t size) {
    if (size == 1) return 0;
    const std::int64_t period = 2 * (size - 1);
    const std::int64_t within = at - floor_of(at, period) * period;
    return within < size ? within : period - within;
  }

  std::int64_t flipped_byte(std::int64_t sample, std::int64_t c, std::int64_t y, std::int64_t x,
                            const Draw& draw) const {
    const Shape& image = dataset_.dataset().image;
    const std::int64_t height = image[1], width = image[2];
    if (draw.padding == Padding::reflect) {
      y = mirrored(y, height);
      x = mirrored(x, width);
    }
    if (y < 0 || y >= height || x < 0 || x >= width) return 0;
    if (draw.flip) x = width - 1 - x;
    return dataset_.dataset().pixels[((sample * image[0] + c) * height + y) * width + x];
  }

  HostDataset& dataset_;
  std::shared_ptr<RealTensor<T>> images_;
  std::shared_ptr<LabelTensor> labels_;
  AugmentationSource augmentation_;
  bool augments_;
};

}  // namespace

template <typename T>
OperationPtr ReferenceBackend<T>::make_batch(DeviceDataset& dataset, TensorPtr images, TensorPtr labels,
                                             const AugmentationSource& augmentation, StepCounter* counter) {
  auto& host_dataset = own<HostDataset>("batch: the data set", dataset);
  auto bound_images = as_real<T>("batch: images", images);
  auto bound_labels = as_labels("batch: labels", labels);
  require_images("batch: images", bound_images->shape());
  const std::int64_t batch = bound_images->shape()[0];
  const Shape& image = host_dataset.dataset().image;
  require_shape("batch: images", bound_images->shape(), {batch, image[0], image[1], image[2]});
  require_shape("batch: labels", bound_labels->shape(), {batch});
  return counted(std::make_unique<BatchOperation<T>>(host_dataset, std::move(bound_images),
                                                     std::move(bound_labels), augmentation),
                 counter);
}

template OperationPtr ReferenceBackend<float>::make_batch(DeviceDataset&, TensorPtr, TensorPtr,
                                                          const AugmentationSource&, StepCounter*);
template OperationPtr ReferenceBackend<double>::make_batch(DeviceDataset&, TensorPtr, TensorPtr,
                                                           const AugmentationSource&, StepCounter*);

}  // namespace convoy::reference
