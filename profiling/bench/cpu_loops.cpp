// The CPU backend's loops on each of Highway's targets that this processor has: GB/s, and the fraction of
// what a copy of as many bytes does. The copy and the loops take turns on the same threads, and each gets its
// fastest time, which other work on the machine disturbs least.
#include <fmt/format.h>
#include <hwy/highway.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend/cpu/batch_norm_loops.h"
#include "engine/backend/cpu/batch_norm_pool_loops.h"
#include "engine/backend/cpu/device.h"
#include "engine/backend/cpu/elementwise_loops.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/max_pool_loops.h"
#include "engine/backend/cpu/optimizer_loops.h"
#include "engine/backend/cpu/weight_gradient_loops.h"
#include "engine/core/philox.h"

namespace convoy::cpu {
namespace {

constexpr std::int64_t kSide = 28;  // of a plane, as behind the ConvNet's first layer

/// A tensor of planes of kSide x kSide pixels of 16 channels, filled with random numbers.
class Planes {
 public:
  explicit Planes(std::int64_t count) : count_(count), memory_(static_cast<std::size_t>(floats()) * 4) {
    PhiloxSequence random({.seed = 1, .stream = 0});
    for (std::int64_t i = 0; i < floats(); ++i) data()[i] = static_cast<float>(random.uniform(-1.0, 1.0));
  }

  static constexpr std::int64_t plane_size() { return kSide * kSide * kRow; }
  std::int64_t count() const { return count_; }
  std::int64_t floats() const { return count_ * plane_size(); }
  float* data() const { return static_cast<float*>(memory_.data()); }
  float* plane(std::int64_t i) const { return data() + i * plane_size(); }

 private:
  std::int64_t count_;
  Buffer memory_;
};

struct Loop {
  std::string name;
  double tensors;  // it reads or writes, in units of a whole Planes
  std::function<void()> run;
};

template <typename Body>
void for_each_plane(const Planes& planes, Body body) {
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < planes.count(); ++i) body(i);
}

double seconds_of(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The loops, over tensors that they hold references to.
class Bench {
 public:
  Bench(std::int64_t planes, int repeats)
      : repeats_(repeats), x_(planes), dy_(planes), out_(planes), other_(planes), taps_(planes) {
    add_norm_loops();
    add_pool_loops("2x2", {.kernel_size = {2, 2}, .stride = {2, 2}, .padding = {0, 0}});
    add_pool_loops("3x3/2", {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
    add_norm_pool_loops();
    add_elementwise_loops();
    add_optimizer_loops();
    add_weight_gradient();
  }

  void print(const std::string& only) const {
    fmt::print("{} threads, tensors of {} MiB\n\n{:<52}", omp_get_max_threads(), x_.floats() * 4 >> 20,
               "loop");
    // Of this file's targets those that the processor has; it is compiled like the loops.
    const std::vector<std::int64_t> targets = hwy::SupportedAndGeneratedTargets();
    for (const std::int64_t target : targets) fmt::print("{:>8} GB/s  of copy", hwy::TargetName(target));
    fmt::print("\n");
    for (const Loop& loop : loops_) {
      if (loop.name.find(only) == std::string::npos) continue;
      fmt::print("{:<52}", loop.name);
      for (const std::int64_t target : targets) {
        hwy::SetSupportedTargetsForTest(target);
        print(loop);
      }
      fmt::print("\n");
    }
    hwy::SetSupportedTargetsForTest(0);
  }

 private:
  void print(const Loop& loop) const {
    const double bytes = loop.tensors * static_cast<double>(x_.floats()) * 4;
    double best = 1e9, copy = 1e9;
    for (int i = 0; i < repeats_; ++i) {
      copy = std::min(copy, seconds_of([&] {
                        for_each_plane(x_, [&](std::int64_t plane) {
                          std::memcpy(out_.plane(plane), x_.plane(plane), Planes::plane_size() * 4);
                        });
                      }));
      best = std::min(best, seconds_of(loop.run));
    }
    // A copy moves two tensors.
    const double fraction = bytes / best / (2 * static_cast<double>(x_.floats()) * 4 / copy);
    fmt::print("{:>13.1f}  {:>7.2f}", bytes / best / 1e9, fraction);
  }

  void add(std::string name, double tensors, std::function<void()> run) {
    loops_.push_back({std::move(name), tensors, std::move(run)});
  }

  void add_norm_loops() {
    const std::int64_t size = Planes::plane_size();
    add("batch norm: sums", 1, [this, size] {
      for_each_plane(x_, [&](std::int64_t i) {
        DoubleRow sum{}, squares{};
        add_deviations({.x = x_.plane(i), .size = size, .pivot = mean_, .sum = sum, .squares = squares});
      });
    });
    add("batch norm + ReLU: y", 2, [this, size] {
      for_each_plane(x_, [&](std::int64_t i) {
        normalize({.x = x_.plane(i),
                   .y = out_.plane(i),
                   .size = size,
                   .mean = mean_,
                   .scale = scale_,
                   .shift = mean_,
                   .relu = true});
      });
    });
    add("batch norm + ReLU: gradient sums", 2, [this, size] {
      for_each_plane(x_, [&](std::int64_t i) {
        DoubleRow sum{}, products{};
        add_gradients({.x = x_.plane(i),
                       .dy = dy_.plane(i),
                       .size = size,
                       .mean = mean_,
                       .scale = scale_,
                       .shift = mean_,
                       .relu = true,
                       .sum = sum,
                       .products = products});
      });
    });
    add("batch norm + ReLU: dx", 3, [this, size] {
      for_each_plane(x_, [&](std::int64_t i) {
        differentiate({.x = x_.plane(i),
                       .dy = dy_.plane(i),
                       .dx = out_.plane(i),
                       .size = size,
                       .mean = mean_,
                       .scale = scale_,
                       .shift = mean_,
                       .slope = scale_,
                       .constant = mean_,
                       .relu = true});
      });
    });
  }

  /// Of outputs half as high and wide. A plane of 16 channels is as much memory as two of 8.
  static PoolPlane half_sized(const Window& window, std::int64_t lanes) {
    return {.window = window,
            .lanes = lanes,
            .pixel = lanes,
            .height = kSide * kRow / lanes,
            .width = kSide,
            .output_height = kSide * kRow / lanes / 2,
            .output_width = kSide / 2};
  }

  void add_pool_loops(const std::string& kernel, const Window& window) {
    windows_.push_back(std::make_unique<Window>(window));
    const Window& kept = *windows_.back();
    for (const std::int64_t lanes : {16, 8}) {
      const PoolPlane plane = half_sized(kept, lanes);
      const std::string name = fmt::format("max pool {}, {} channels", kernel, lanes);
      add(name, 1.5, [this, plane] {
        for_each_plane(x_, [&](std::int64_t i) {
          max_pool(plane, x_.plane(i), dy_.plane(i), reinterpret_cast<std::int32_t*>(taps_.plane(i)));
        });
      });
      add(name + ": dx", 1.5, [this, plane] {
        for_each_plane(x_, [&](std::int64_t i) {
          max_pool_backward(plane, dy_.plane(i), reinterpret_cast<std::int32_t*>(taps_.plane(i)),
                            out_.plane(i));
        });
      });
    }
  }

  // Of 2x2: a pooled tensor is a quarter of one, its taps a quarter of that.
  void add_norm_pool_loops() {
    windows_.push_back(std::make_unique<Window>(Window{.kernel_size = {2, 2}, .stride = {2, 2}}));
    const Window& kept = *windows_.back();
    for (const std::int64_t lanes : {16, 8}) {
      const PoolPlane plane = half_sized(kept, lanes);
      const std::string name = fmt::format("batch norm + ReLU + max pool, {} channels", lanes);
      const auto tap = [this](std::int64_t i) { return reinterpret_cast<std::uint8_t*>(taps_.plane(i)); };
      add(name + ": y", 1 + 0.25 + 0.25 + 0.0625, [this, plane, tap] {
        for_each_plane(x_, [&](std::int64_t i) {
          normalize_and_pool({.plane = plane,
                              .x = x_.plane(i),
                              .y = dy_.plane(i),
                              .winner = other_.plane(i),
                              .tap = tap(i),
                              .mean = mean_,
                              .scale = scale_,
                              .shift = mean_});
        });
      });
      add(name + ": gradient sums", 0.25 + 0.25 + 0.0625, [this, tap] {
        for_each_plane(x_, [&](std::int64_t i) {
          DoubleRow sum{}, products{};
          add_pooled_gradients({.winner = other_.plane(i),
                                .tap = tap(i),
                                .dy = dy_.plane(i),
                                .size = Planes::plane_size() / 4,
                                .mean = mean_,
                                .sum = sum,
                                .products = products});
        });
      });
      add(name + ": dx", 2 + 0.25 + 0.0625, [this, plane, tap] {
        for_each_plane(x_, [&](std::int64_t i) {
          differentiate_pooled({.plane = plane,
                                .x = x_.plane(i),
                                .dy = dy_.plane(i),
                                .tap = tap(i),
                                .dx = out_.plane(i),
                                .mean = mean_,
                                .scale = scale_,
                                .slope = scale_,
                                .constant = mean_});
        });
      });
    }
  }

  void add_elementwise_loops() {
    const auto span = [](const Planes& planes) {
      return std::span<float>(planes.data(), static_cast<std::size_t>(planes.floats()));
    };
    add("ReLU", 2, [this, span] { combine_all<float>(mask_by_relu, span(x_), span(x_), span(out_)); });
    add("ReLU: dx", 3, [this, span] { combine_all<float>(mask_by_relu, span(x_), span(dy_), span(out_)); });
    add("add", 3, [this, span] { combine_all<float>(cpu::add, span(x_), span(dy_), span(out_)); });
    add("multiply (dropout)", 3,
        [this, span] { combine_all<float>(multiply, span(x_), span(dy_), span(out_)); });
  }

  void add_optimizer_loops() {
    add("Adam", 7, [this] {
      in_parallel(x_.floats(), [&](std::int64_t begin, std::int64_t end) {
        update_by_adam({.parameters = x_.data() + begin,
                        .gradients = dy_.data() + begin,
                        .first = out_.data() + begin,
                        .second = other_.data() + begin,
                        .count = end - begin},
                       {.step = 1, .learning_rate = 1e-3f, .step_size = 1e-3f, .inverse_sqrt_bias2 = 1.0f},
                       AdamOptions{});
      });
    });
    add("SGD with momentum", 5, [this] {
      in_parallel(x_.floats(), [&](std::int64_t begin, std::int64_t end) {
        update_by_sgd({.parameters = x_.data() + begin,
                       .gradients = dy_.data() + begin,
                       .momentum = out_.data() + begin,
                       .count = end - begin},
                      {.step = 1, .learning_rate = 1e-3f, .momentum = 0.9f}, SgdOptions{});
      });
    });
    add("average of weights", 3, [this] {
      in_parallel(x_.floats(), [&](std::int64_t begin, std::int64_t end) {
        average(x_.data() + begin, out_.data() + begin, end - begin, 3.0f);
      });
    });
  }

  // Of the ConvNet's first layer. Bound by arithmetic: 25 multiply-adds for each float of dy.
  void add_weight_gradient() {
    add("weight gradient, 1 channel, 5x5", 1, [this] {
      const std::int64_t padded = kSide + 4;
      const std::vector<float> image(padded * padded, 1.0f);
      std::vector<double> sums(static_cast<std::size_t>(25 * kRow * omp_get_max_threads()));
      for_each_plane(dy_, [&](std::int64_t i) {
        add_weight_gradients({.x = image.data(),
                              .dy = dy_.plane(i),
                              .sums = sums.data() + 25 * kRow * omp_get_thread_num(),
                              .channels = 1,
                              .height = padded,
                              .width = padded,
                              .blocks = 2,
                              .lanes = 8,
                              .output_height = kSide,
                              .output_width = kSide,
                              .kernel_height = 5,
                              .kernel_width = 5,
                              .stride = {1, 1},
                              .dilation = {1, 1}});
      });
    });
  }

  int repeats_;
  Planes x_, dy_, out_, other_, taps_;
  Row mean_{}, scale_ = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f,
                         1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
  std::vector<std::unique_ptr<Window>> windows_;
  std::vector<Loop> loops_;
};

}  // namespace
}  // namespace convoy::cpu

int main(int argc, char** argv) {
  CLI::App program("Times the CPU backend's loops beside a copy of as many bytes");
  std::int64_t mib = 128;
  int repeats = 10;
  std::string only;
  program.add_option("--mib", mib, "Size of a tensor: larger than the caches, for what memory allows")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  program.add_option("--repeats", repeats, "Runs of each loop and of the copy; the fastest counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  program.add_option("--only", only, "Only loops whose name has this in it");
  CLI11_PARSE(program, argc, argv);
  const std::int64_t plane_bytes = convoy::cpu::kSide * convoy::cpu::kSide * convoy::cpu::kRow * 4;
  convoy::cpu::Bench((mib << 20) / plane_bytes, repeats).print(only);
}
