// Pooling. A window is clipped to the image, so padding is never looked at; only the average's divisor
// knows of it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/backend/reference/reference_backend.h"
#include "engine/model/layer_rules.h"
#include "engine/model/window.h"

namespace convoy::reference {
namespace {

/// The part of x that one element of y sees, [begin, end) in rows and columns of one plane.
struct Patch {
  std::int64_t h_begin, h_end, w_begin, w_end;

  std::int64_t size() const { return (h_end - h_begin) * (w_end - w_begin); }
};

Patch clipped(const Window& pool, const Shape& x, std::int64_t oh, std::int64_t ow) {
  const std::int64_t h = oh * pool.stride[0] - pool.padding[0];
  const std::int64_t w = ow * pool.stride[1] - pool.padding[1];
  return {std::max<std::int64_t>(h, 0), std::min(h + pool.kernel_size[0], x[2]), std::max<std::int64_t>(w, 0),
          std::min(w + pool.kernel_size[1], x[3])};
}

/// Calls visit(y index, patch, index of the plane's first element in x) for every element of y.
template <typename Visit>
void for_each_patch(const Window& pool, const Shape& x, const Shape& y, Visit visit) {
  std::int64_t index = 0;
  for (std::int64_t plane = 0; plane < y[0] * y[1]; ++plane) {
    for (std::int64_t oh = 0; oh < y[2]; ++oh) {
      for (std::int64_t ow = 0; ow < y[3]; ++ow) {
        visit(index++, clipped(pool, x, oh, ow), plane * x[2] * x[3]);
      }
    }
  }
}

/// Calls visit(x index) for every element of a patch, in row-major order.
template <typename Visit>
void for_each_in(const Patch& patch, std::int64_t plane, std::int64_t width, Visit visit) {
  for (std::int64_t h = patch.h_begin; h < patch.h_end; ++h) {
    for (std::int64_t w = patch.w_begin; w < patch.w_end; ++w) visit(plane + h * width + w);
  }
}

template <typename T>
class MaxPoolOperation final : public Operation {
 public:
  MaxPoolOperation(const MaxPool2d& layer, Bound<T> x) : pool_(window_of(layer)), x_(std::move(x)) {
    output_ = make_variable<T>(output_shape(layer, x_.shape()), x_.wants_grad());
    y_ = Bound<T>("MaxPool2d: output", output_);
    source_.resize(y_.value().size());
    sums_.resize(x_.wants_grad() ? x_.value().size() : 0);
  }

  void forward(Phase) override {
    const auto x = x_.value(), y = y_.value();
    const std::int64_t width = x_.shape()[3];
    for_each_patch(pool_, x_.shape(), y_.shape(), [&](auto yi, const Patch& patch, auto plane) {
      T best = -std::numeric_limits<T>::infinity();
      source_[yi] = plane + patch.h_begin * width + patch.w_begin;  // stays if all are -inf
      for_each_in(patch, plane, width, [&](auto xi) {
        if (x[xi] > best || std::isnan(x[xi])) {  // a NaN wins, as in PyTorch
          best = x[xi];
          source_[yi] = xi;
        }
      });
      y[yi] = best;
    });
  }

  void backward() override {
    if (!x_.wants_grad()) return;
    std::ranges::fill(sums_, 0.0);
    const auto dy = y_.grad();
    for (std::size_t i = 0; i < dy.size(); ++i) sums_[source_[i]] += dy[i];
    store<T>(sums_, x_.grad());
  }

 private:
  Window pool_;
  Bound<T> x_, y_;
  std::vector<std::int64_t> source_;  // where in x each element of y came from
  std::vector<double> sums_;
};

template <typename T>
class AvgPoolOperation final : public Operation {
 public:
  AvgPoolOperation(const AvgPool2d& layer, Bound<T> x)
      : pool_(window_of(layer)), count_include_pad_(layer.count_include_pad), x_(std::move(x)) {
    output_ = make_variable<T>(output_shape(layer, x_.shape()), x_.wants_grad());
    y_ = Bound<T>("AvgPool2d: output", output_);
    sums_.resize(x_.wants_grad() ? x_.value().size() : 0);
  }

  void forward(Phase) override {
    const auto x = x_.value(), y = y_.value();
    for_each_patch(pool_, x_.shape(), y_.shape(), [&](auto yi, const Patch& patch, auto plane) {
      double sum = 0.0;
      for_each_in(patch, plane, x_.shape()[3], [&](auto xi) { sum += x[xi]; });
      y[yi] = static_cast<T>(sum / divisor(patch));
    });
  }

  void backward() override {
    if (!x_.wants_grad()) return;
    std::ranges::fill(sums_, 0.0);
    const auto dy = y_.grad();
    for_each_patch(pool_, x_.shape(), y_.shape(), [&](auto yi, const Patch& patch, auto plane) {
      const double share = dy[yi] / divisor(patch);
      for_each_in(patch, plane, x_.shape()[3], [&](auto xi) { sums_[xi] += share; });
    });
    store<T>(sums_, x_.grad());
  }

 private:
  double divisor(const Patch& patch) const {
    return static_cast<double>(count_include_pad_ ? pool_.kernel_size[0] * pool_.kernel_size[1]
                                                  : patch.size());
  }

  Window pool_;
  bool count_include_pad_;
  Bound<T> x_, y_;
  std::vector<double> sums_;
};

}  // namespace

template <typename T>
OperationPtr ReferenceBackend<T>::make_max_pool(const MaxPool2d& layer, const Variable& x) {
  return std::make_unique<MaxPoolOperation<T>>(layer, Bound<T>("MaxPool2d: input", x));
}

template <typename T>
OperationPtr ReferenceBackend<T>::make_avg_pool(const AvgPool2d& layer, const Variable& x) {
  return std::make_unique<AvgPoolOperation<T>>(layer, Bound<T>("AvgPool2d: input", x));
}

template OperationPtr ReferenceBackend<float>::make_max_pool(const MaxPool2d&, const Variable&);
template OperationPtr ReferenceBackend<double>::make_max_pool(const MaxPool2d&, const Variable&);
template OperationPtr ReferenceBackend<float>::make_avg_pool(const AvgPool2d&, const Variable&);
template OperationPtr ReferenceBackend<double>::make_avg_pool(const AvgPool2d&, const Variable&);

}  // namespace convoy::reference
