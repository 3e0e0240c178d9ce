// Convolution, alone or with the ReLU behind it. Forward and both gradients are sums over one and the same
// set of products, so that set is written down once: y += x w, hence dx += dy w and dw += dy x.
#include <algorithm>
#include <vector>

#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/model/layer_rules.h"

namespace convoy::reference {
namespace {

/// The outputs [begin, end) along one axis whose tap at `offset` from their window lies inside the image.
struct Inside {
  std::int64_t begin, end;

  Inside(std::int64_t outputs, std::int64_t stride, std::int64_t offset, std::int64_t size)
      : begin(0), end(outputs) {
    while (begin < end && begin * stride + offset < 0) ++begin;
    while (begin < end && (end - 1) * stride + offset >= size) --end;
  }
};

/// Calls visit(x index, weight index, y index) for every product in the convolution; x is [N, C, H, W], y
/// [N, O, OH, OW]. Taps in the padding are left out: it is zero.
template <typename Visit>
void for_each_product(const Conv2d& layer, const Shape& x, const Shape& y, Visit visit) {
  const auto [kernel_h, kernel_w] = layer.kernel_size;
  const auto [stride_h, stride_w] = layer.stride;
  const std::int64_t height = x[2], width = x[3], out_height = y[2], out_width = y[3];
  const std::int64_t in_group = layer.in_channels / layer.groups;
  const std::int64_t out_group = layer.out_channels / layer.groups;
  for (std::int64_t n = 0; n < y[0]; ++n) {
    for (std::int64_t o = 0; o < y[1]; ++o) {
      for (std::int64_t i = 0; i < in_group; ++i) {
        const std::int64_t x_plane = (n * x[1] + o / out_group * in_group + i) * height;
        const std::int64_t y_plane = (n * y[1] + o) * out_height;
        for (std::int64_t kh = 0; kh < kernel_h; ++kh) {
          const std::int64_t h = kh * layer.dilation[0] - layer.padding[0];
          const Inside rows(out_height, stride_h, h, height);
          for (std::int64_t kw = 0; kw < kernel_w; ++kw) {
            const std::int64_t w = kw * layer.dilation[1] - layer.padding[1];
            const Inside columns(out_width, stride_w, w, width);
            const std::int64_t w_index = ((o * in_group + i) * kernel_h + kh) * kernel_w + kw;
            for (std::int64_t oh = rows.begin; oh < rows.end; ++oh) {
              const std::int64_t x_row = (x_plane + oh * stride_h + h) * width;
              const std::int64_t y_row = (y_plane + oh) * out_width;
              for (std::int64_t ow = columns.begin; ow < columns.end; ++ow) {
                visit(x_row + ow * stride_w + w, w_index, y_row + ow);
              }
            }
          }
        }
      }
    }
  }
}

/// Calls visit(channel, y index) for every element.
template <typename Visit>
void for_each_output(const Shape& y, Visit visit) {
  std::int64_t index = 0;
  for (std::int64_t n = 0; n < y[0]; ++n) {
    for (std::int64_t o = 0; o < y[1]; ++o) {
      for (std::int64_t p = 0; p < y[2] * y[3]; ++p) visit(o, index++);
    }
  }
}

template <typename T>
class Conv2dOperation final : public Operation {
 public:
  Conv2dOperation(const Conv2d& layer, bool fuse_relu, Bound<T> x, Bound<T> weight, Bound<T> bias)
      : layer_(layer),
        fuse_relu_(fuse_relu),
        x_(std::move(x)),
        weight_(std::move(weight)),
        bias_(std::move(bias)) {
    const bool with_grad = x_.wants_grad() || weight_.wants_grad() || bias_.wants_grad();
    output_ = make_variable<T>(output_shape(layer, x_.shape()), with_grad);
    y_ = Bound<T>("Conv2d: output", output_);
    if (fuse_relu && with_grad) masked_.resize(y_.value().size());
    sums_.resize(std::max({x_.value().size(), weight_.value().size(), y_.value().size()}));
  }

  void forward(Phase) override {
    clear();
    if (bias_.present()) {
      const auto bias = bias_.value();
      for_each_output(y_.shape(), [&](auto channel, auto index) { sums_[index] = bias[channel]; });
    }
    const auto x = x_.value(), weight = weight_.value();
    for_each_product(layer_, x_.shape(), y_.shape(), [&](auto xi, auto wi, auto yi) {
      sums_[yi] += static_cast<double>(x[xi]) * weight[wi];
    });
    if (fuse_relu_) {
      for (double& sum : sums_) sum = sum <= 0.0 ? 0.0 : sum;  // a NaN stays
    }
    store<T>(sums_, y_.value());
  }

  void backward() override {
    if (!y_.wants_grad()) return;
    const std::span<const T> dy = fuse_relu_ ? masked_gradient() : y_.grad();
    if (x_.wants_grad()) {
      clear();
      const auto weight = weight_.value();
      for_each_product(layer_, x_.shape(), y_.shape(), [&](auto xi, auto wi, auto yi) {
        sums_[xi] += static_cast<double>(dy[yi]) * weight[wi];
      });
      store<T>(sums_, x_.grad());
    }
    if (weight_.wants_grad()) {
      clear();
      const auto x = x_.value();
      for_each_product(layer_, x_.shape(), y_.shape(),
                       [&](auto xi, auto wi, auto yi) { sums_[wi] += static_cast<double>(dy[yi]) * x[xi]; });
      store<T>(sums_, weight_.grad());
    }
    if (bias_.wants_grad()) {
      clear();
      for_each_output(y_.shape(), [&](auto channel, auto index) { sums_[channel] += dy[index]; });
      store<T>(sums_, bias_.grad());
    }
  }

 private:
  /// The output's gradient, where the ReLU let its value pass.
  std::span<const T> masked_gradient() {
    const auto y = y_.value(), dy = y_.grad();
    for (std::size_t i = 0; i < dy.size(); ++i) masked_[i] = y[i] <= T{0} ? T{0} : dy[i];
    return masked_;
  }

  void clear() { std::ranges::fill(sums_, 0.0); }

  Conv2d layer_;
  bool fuse_relu_;
  Bound<T> x_, weight_, bias_, y_;
  std::vector<T> masked_;     // with a ReLU, the gradient in front of it
  std::vector<double> sums_;  // long enough for any of the four results
};

}  // namespace

template <typename T>
OperationPtr ReferenceBackend<T>::make_conv2d(const Conv2d& layer, bool fuse_relu, const Variable& x,
                                              const Variable& weight, const Variable& bias) {
  Bound<T> bound_x("Conv2d: input", x), bound_weight("Conv2d: weight", weight), bound_bias;
  output_shape(layer, bound_x.shape());  // refuses what does not fit
  require_shape("Conv2d: weight", bound_weight.shape(), weight_shape(layer));
  require_bias("Conv2d", layer.bias, bias, layer.out_channels);
  if (layer.bias) bound_bias = Bound<T>("Conv2d: bias", bias);
  return std::make_unique<Conv2dOperation<T>>(layer, fuse_relu, std::move(bound_x), std::move(bound_weight),
                                              std::move(bound_bias));
}

template OperationPtr ReferenceBackend<float>::make_conv2d(const Conv2d&, bool, const Variable&,
                                                           const Variable&, const Variable&);
template OperationPtr ReferenceBackend<double>::make_conv2d(const Conv2d&, bool, const Variable&,
                                                            const Variable&, const Variable&);

}  // namespace convoy::reference
