// Convolution and its two gradients. The innermost loop always runs over channels that lie next to each
// other.
#include "tests/software_gpu/cudnn/interpret.h"
#include "tests/software_gpu/number.h"

namespace software_gpu {
namespace {

using Index = std::int64_t;

struct Geometry {
  Dims x, w, y;
  Index padding[2], stride[2], dilation[2];

  Index groups() const { return x[1] / w[1]; }
  Index in_channels() const { return w[1]; }              // of a group
  Index out_channels() const { return w[0] / groups(); }  // of a group
  Index taps() const { return w[2] * w[3]; }
};

// A tap that lies inside the image: which pixel of x, which tap of the window, which pixel of y.
template <typename Visit>
[[gnu::always_inline]] inline void for_each_tap(const Geometry& g, Visit visit) {
  for (Index n = 0; n < g.y[0]; ++n) {
    for (Index p = 0; p < g.y[2]; ++p) {
      for (Index q = 0; q < g.y[3]; ++q) {
        const Index pixel_out = (n * g.y[2] + p) * g.y[3] + q;
        for (Index r = 0; r < g.w[2]; ++r) {
          const Index h = p * g.stride[0] - g.padding[0] + r * g.dilation[0];
          if (h < 0 || h >= g.x[2]) continue;
          for (Index s = 0; s < g.w[3]; ++s) {
            const Index c = q * g.stride[1] - g.padding[1] + s * g.dilation[1];
            if (c < 0 || c >= g.x[3]) continue;
            visit((n * g.x[2] + h) * g.x[3] + c, r * g.w[3] + s, pixel_out);
          }
        }
      }
    }
  }
}

[[gnu::always_inline]] inline void add_multiple(double* __restrict to, const double* __restrict from,
                                                double factor, Index count) {
  for (Index i = 0; i < count; ++i) to[i] += factor * from[i];
}

// [group][tap][in][out] from memory's [group][out][tap][in], or back.
template <typename Move>
void for_each_weight(const Geometry& g, Move move) {
  for (Index group = 0; group < g.groups(); ++group) {
    for (Index out = 0; out < g.out_channels(); ++out) {
      for (Index tap = 0; tap < g.taps(); ++tap) {
        for (Index in = 0; in < g.in_channels(); ++in) {
          const Index memory = ((group * g.out_channels() + out) * g.taps() + tap) * g.in_channels() + in;
          const Index packed = ((group * g.taps() + tap) * g.in_channels() + in) * g.out_channels() + out;
          move(static_cast<std::size_t>(memory), static_cast<std::size_t>(packed));
        }
      }
    }
  }
}

[[gnu::target_clones("arch=haswell", "default")]] void forward(const Geometry& g, const double* x,
                                                               const double* packed, double* y) {
  const Index in = g.in_channels();
  const Index out = g.out_channels();
  for_each_tap(g, [&](Index pixel_in, Index tap, Index pixel_out) {
    for (Index group = 0; group < g.groups(); ++group) {
      const double* from = x + pixel_in * g.x[1] + group * in;
      const double* weights = packed + (group * g.taps() + tap) * in * out;
      double* to = y + pixel_out * g.y[1] + group * out;
      for (Index c = 0; c < in; ++c) add_multiple(to, weights + c * out, from[c], out);
    }
  });
}

[[gnu::target_clones("arch=haswell", "default")]] void backward_data(const Geometry& g, const double* dy,
                                                                     const double* w, double* dx) {
  const Index in = g.in_channels();
  const Index out = g.out_channels();
  for_each_tap(g, [&](Index pixel_in, Index tap, Index pixel_out) {
    for (Index group = 0; group < g.groups(); ++group) {
      const double* from = dy + pixel_out * g.y[1] + group * out;
      double* to = dx + pixel_in * g.x[1] + group * in;
      for (Index k = 0; k < out; ++k) {
        add_multiple(to, w + ((group * out + k) * g.taps() + tap) * in, from[k], in);
      }
    }
  });
}

[[gnu::target_clones("arch=haswell", "default")]] void backward_weight(const Geometry& g, const double* x,
                                                                       const double* dy, double* packed) {
  const Index in = g.in_channels();
  const Index out = g.out_channels();
  for_each_tap(g, [&](Index pixel_in, Index tap, Index pixel_out) {
    for (Index group = 0; group < g.groups(); ++group) {
      const double* from = x + pixel_in * g.x[1] + group * in;
      const double* gradient = dy + pixel_out * g.y[1] + group * out;
      double* to = packed + (group * g.taps() + tap) * in * out;
      for (Index c = 0; c < in; ++c) add_multiple(to + c * out, gradient, from[c], out);
    }
  });
}

Values operand(const Evaluation& e, const char* name, bool tf32) {
  Values values = e.in(name);
  if (tf32) {
    for (double& value : values) value = round_to_tf32(static_cast<float>(value));
  }
  return values;
}

}  // namespace

void evaluate_convolution(Evaluation& e, bool tf32) {
  const bool to_data = e.op().has("dx");
  const bool to_weight = e.op().has("dw");
  Geometry g{.x = e.dims(to_data ? "dx" : "x"),
             .w = e.dims(to_weight ? "dw" : "w"),
             .y = e.dims(to_data || to_weight ? "dy" : "y"),
             .padding = {},
             .stride = {},
             .dilation = {}};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    g.padding[axis] = e.window("padding", axis);
    g.stride[axis] = e.window("stride", axis);
    g.dilation[axis] = e.window("dilation", axis);
  }
  if (to_data) {
    const Values dy = operand(e, "dy", tf32);
    const Values w = operand(e, "w", tf32);
    return backward_data(g, dy.data(), w.data(), e.out("dx").data());
  }
  const Values x = operand(e, "x", tf32);
  if (to_weight) {
    const Values dy = operand(e, "dy", tf32);
    Values& dw = e.out("dw");
    Values packed(dw.size());
    backward_weight(g, x.data(), dy.data(), packed.data());
    return for_each_weight(g, [&](std::size_t memory, std::size_t at) { dw[memory] = packed[at]; });
  }
  const Values w = operand(e, "w", tf32);
  Values packed(w.size());
  for_each_weight(g, [&](std::size_t memory, std::size_t at) { packed[at] = w[memory]; });
  forward(g, x.data(), packed.data(), e.out("y").data());
}

}  // namespace software_gpu
