// Pointwise operations, batch norm and pooling.
#include <cmath>
#include <limits>

#include "tests/software_gpu/cudnn/interpret.h"

namespace software_gpu {
namespace {

using Index = std::size_t;

struct Extents {
  Index n, c, h, w;
  explicit Extents(const Dims& d)
      : n(static_cast<Index>(d[0])),
        c(static_cast<Index>(d[1])),
        h(static_cast<Index>(d[2])),
        w(static_cast<Index>(d[3])) {}
  Index count() const { return n * c * h * w; }
};

// Where element `i` of an image finds its partner in a tensor that broadcasts to it.
Index broadcast(Index i, const Extents& image, const Extents& from) {
  const Index c = i % image.c;
  const Index w = i / image.c % image.w;
  const Index h = i / image.c / image.w % image.h;
  const Index n = i / image.c / image.w / image.h;
  const Index at_n = from.n == 1 ? 0 : n;
  const Index at_h = from.h == 1 ? 0 : h;
  const Index at_w = from.w == 1 ? 0 : w;
  return ((at_n * from.h + at_h) * from.w + at_w) * from.c + (from.c == 1 ? 0 : c);
}

void binary(Evaluation& e) {
  const Extents image(e.dims("x"));
  const Extents from(e.dims("b"));
  const Values& x = e.in("x");
  const Values& b = e.in("b");
  Values& y = e.out("y");
  for (Index i = 0; i < y.size(); ++i) y[i] = x[i] + b[broadcast(i, image, from)];
}

// Mean and variance (divided by the count) of each channel.
void statistics(const Values& x, Index channels, Values& mean, Values& variance) {
  const double count = static_cast<double>(x.size() / channels);
  mean.assign(channels, 0.0);
  variance.assign(channels, 0.0);
  for (Index i = 0; i < x.size(); ++i) mean[i % channels] += x[i];
  for (double& m : mean) m /= count;
  for (Index i = 0; i < x.size(); ++i) {
    const double d = x[i] - mean[i % channels];
    variance[i % channels] += d * d;
  }
  for (double& v : variance) v /= count;
}

void norm_training(Evaluation& e) {
  const Values& x = e.in("x");
  const auto channels = static_cast<Index>(e.dims("x")[1]);
  const double count = static_cast<double>(x.size() / channels);
  const double momentum = e.scalar("momentum");
  Values mean;
  Values variance;
  statistics(x, channels, mean, variance);
  Values inv_std(channels);
  Values& next_mean = e.out("next_running_mean");
  Values& next_variance = e.out("next_running_var");
  for (Index c = 0; c < channels; ++c) {
    inv_std[c] = 1.0 / std::sqrt(variance[c] + e.scalar("epsilon"));
    next_mean[c] = (1.0 - momentum) * e.in("running_mean")[c] + momentum * mean[c];
    const double unbiased = variance[c] * count / (count - 1.0);
    next_variance[c] = (1.0 - momentum) * e.in("running_var")[c] + momentum * unbiased;
  }
  Values& y = e.out("y");
  const Values& scale = e.in("scale");
  const Values& bias = e.in("bias");
  for (Index i = 0; i < x.size(); ++i) {
    const Index c = i % channels;
    y[i] = (x[i] - mean[c]) * inv_std[c] * scale[c] + bias[c];
  }
  e.out("mean") = mean;
  e.out("inv_std") = inv_std;
}

void norm_inference(Evaluation& e) {
  const Values& x = e.in("x");
  const auto channels = static_cast<Index>(e.dims("x")[1]);
  Values& y = e.out("y");
  for (Index i = 0; i < x.size(); ++i) {
    const Index c = i % channels;
    y[i] = (x[i] - e.in("mean")[c]) * e.in("inv_std")[c] * e.in("scale")[c] + e.in("bias")[c];
  }
}

void norm_backward(Evaluation& e) {
  const Values& x = e.in("x");
  const Values& dy = e.in("dy");
  const Values& mean = e.in("mean");
  const Values& inv_std = e.in("inv_std");
  const Values& scale = e.in("scale");
  const auto channels = static_cast<Index>(e.dims("x")[1]);
  const double count = static_cast<double>(x.size() / channels);
  Values& dscale = e.out("dscale");
  Values& dbias = e.out("dbias");
  for (Index i = 0; i < x.size(); ++i) {
    const Index c = i % channels;
    dbias[c] += dy[i];
    dscale[c] += dy[i] * (x[i] - mean[c]) * inv_std[c];
  }
  Values& dx = e.out("dx");
  for (Index i = 0; i < x.size(); ++i) {
    const Index c = i % channels;
    const double normalised = (x[i] - mean[c]) * inv_std[c];
    dx[i] = scale[c] * inv_std[c] * (dy[i] - (dbias[c] + normalised * dscale[c]) / count);
  }
}

// The window of one output pixel, cut to the image.
struct Tap {
  Index number;  // within the whole window
  Index pixel;   // of the image
};

template <typename Visit>
void for_each_tap(const Evaluation& e, Index h, Index w, const Extents& image, Visit visit) {
  const auto kernel_w = e.window("kernel", 1);
  for (std::int64_t r = 0; r < e.window("kernel", 0); ++r) {
    for (std::int64_t s = 0; s < kernel_w; ++s) {
      const auto row = static_cast<std::int64_t>(h) * e.window("stride", 0) - e.window("padding", 0) + r;
      const auto column = static_cast<std::int64_t>(w) * e.window("stride", 1) - e.window("padding", 1) + s;
      if (row < 0 || column < 0 || static_cast<Index>(row) >= image.h ||
          static_cast<Index>(column) >= image.w) {
        continue;
      }
      visit(Tap{static_cast<Index>(r * kernel_w + s),
                static_cast<Index>(row) * image.w + static_cast<Index>(column)});
    }
  }
}

// For every output element, calls `visit(image base, output index, h, w)`; a tap's pixel times the channels
// adds to the base.
template <typename Visit>
void for_each_output(const Extents& image, const Extents& out, Visit visit) {
  Index at = 0;
  for (Index n = 0; n < out.n; ++n) {
    for (Index h = 0; h < out.h; ++h) {
      for (Index w = 0; w < out.w; ++w) {
        for (Index c = 0; c < out.c; ++c) visit(n * image.h * image.w * image.c + c, at++, h, w);
      }
    }
  }
}

double divisor(const Evaluation& e, Index h, Index w, const Extents& image) {
  if (e.op().mode == CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING) {
    return static_cast<double>(e.window("kernel", 0) * e.window("kernel", 1));
  }
  double taps = 0.0;
  for_each_tap(e, h, w, image, [&](const Tap&) { taps += 1.0; });
  return taps;
}

void pool_forward(Evaluation& e) {
  const Extents image(e.dims("x"));
  const Extents out(e.dims("y"));
  const Values& x = e.in("x");
  Values& y = e.out("y");
  const bool max = e.op().mode == CUDNN_RESAMPLE_MAXPOOL;
  Values none;
  Values& index = max ? e.out("index") : none;
  for_each_output(image, out, [&](Index base, Index at, Index h, Index w) {
    if (!max) {
      for_each_tap(e, h, w, image, [&](const Tap& tap) { y[at] += x[base + tap.pixel * image.c]; });
      y[at] /= divisor(e, h, w, image);
      return;
    }
    y[at] = -std::numeric_limits<double>::infinity();
    bool first = true;
    for_each_tap(e, h, w, image, [&](const Tap& tap) {
      const double value = x[base + tap.pixel * image.c];
      if (!first && !(value > y[at]) && !(std::isnan(value) && !std::isnan(y[at]))) return;
      first = false;
      y[at] = value;
      index[at] = static_cast<double>(tap.number);
    });
  });
}

void pool_backward(Evaluation& e) {
  const Extents image(e.dims("dx"));
  const Extents out(e.dims("dy"));
  const Values& dy = e.in("dy");
  Values& dx = e.out("dx");
  const bool max = e.op().mode == CUDNN_RESAMPLE_MAXPOOL;
  for_each_output(image, out, [&](Index base, Index at, Index h, Index w) {
    const double share = max ? dy[at] : dy[at] / divisor(e, h, w, image);
    for_each_tap(e, h, w, image, [&](const Tap& tap) {
      const bool chosen = !max || tap.number == static_cast<Index>(e.in("index")[at]);
      if (chosen) dx[base + tap.pixel * image.c] += share;
    });
  });
}

}  // namespace

void evaluate_pointwise(Evaluation& e) {
  if (e.op().mode == CUDNN_POINTWISE_RELU_FWD) {
    const Values& x = e.in("x");
    Values& y = e.out("y");
    for (Index i = 0; i < y.size(); ++i) y[i] = x[i] > 0.0 ? x[i] : 0.0;  // NaN is not propagated
  } else if (e.op().mode == CUDNN_POINTWISE_RELU_BWD) {
    const Values& x = e.in("x");
    const Values& dy = e.in("dy");
    Values& dx = e.out("dx");
    for (Index i = 0; i < dx.size(); ++i) dx[i] = x[i] > 0.0 ? dy[i] : 0.0;
  } else {
    binary(e);
  }
}

void evaluate_norm(Evaluation& e) {
  if (e.op().type == CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR) return norm_backward(e);
  e.op().mode == CUDNN_NORM_FWD_TRAINING ? norm_training(e) : norm_inference(e);
}

void evaluate_resample(Evaluation& e) {
  e.op().type == CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR ? pool_forward(e) : pool_backward(e);
}

}  // namespace software_gpu
