// convoy bench: how long a training step takes, which layers take the time, and which fraction of the
// machine's peak is reached.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <numeric>

#include "apps/convoy/bench_plan.h"
#include "apps/convoy/commands.h"
#include "apps/convoy/copy_peak.h"
#include "apps/convoy/fma_peak.h"
#include "apps/convoy/group_run.h"
#include "apps/convoy/roofline_table.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/step_timing.h"
#include "apps/convoy/terminal.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/backend/cpu/cpu.h"
#include "engine/backend/cuda/module.h"
#include "engine/core/philox.h"
#include "engine/train/step.h"

namespace convoy {
namespace {

struct BenchFlags {
  DataFlags data;
  DeviceFlags device;
  std::string model = "convnet";
  StepTimingOptions timing;
  std::string plan;  // the described device to plan for; empty: time on this machine's
  bool json = false;
};

/// Random pixels and labels. A training step takes as long with them as with real images.
Dataset synthetic(const Model& model, std::int64_t count) {
  Dataset dataset;
  dataset.name = "synthetic";
  dataset.image = model.input;
  dataset.classes = class_count(model);
  if (dataset.classes > 256) throw UsageError("bench: labels are bytes, so 256 classes are the most");
  PhiloxSequence random({.seed = 1, .stream = 0});
  dataset.pixels.resize(static_cast<std::size_t>(count * model.input.count()));
  for (std::uint8_t& pixel : dataset.pixels) pixel = static_cast<std::uint8_t>(random.next() >> 24);
  for (std::int64_t i = 0; i < count; ++i) {
    dataset.labels.push_back(
        static_cast<std::uint8_t>(random.below(static_cast<std::uint32_t>(dataset.classes))));
  }
  return dataset;
}

/// The measured times, and the figures that are computed from them.
struct BenchResult {
  std::string model;
  std::string device;
  std::vector<std::string> device_flags;
  std::int64_t batch = 0;
  StepTiming timing;
  double images_per_second = 0.0;
  double gflops = 0.0;
  Roofline roofline = {};
  std::string peak_of = {};  // what was measured to find the peak of arithmetic
  int processes = 1;
  std::string group = {};         // what connects them
  double gradient_megabytes = 0;  // that each process sends and gets summed in a step

  /// From where a process is done with its gradients to where it has the sums: the slowest one's lead, too.
  double communication_ms() const {
    double sum = 0.0;
    for (const LayerTiming& layer : timing.layers) {
      if (layer.name.starts_with(kAllReduce)) sum += layer.forward_ms;
    }
    return sum;
  }

  double convolutions_ms() const {
    double sum = 0.0;
    for (const LayerTiming& layer : timing.layers) {
      if (layer.type.starts_with("Conv2d")) sum += layer.forward_ms + layer.backward_ms;
    }
    return sum;
  }
};

void print_json(const BenchResult& result) {
  const StepTiming& timing = result.timing;
  const Json graph = timing.cuda_graph
                         ? Json{{"nodes", timing.cuda_graph->nodes}, {"kernels", timing.cuda_graph->kernels}}
                         : Json();
  emit({{"event", "bench"},
        {"model", result.model},
        {"device", result.device},
        {"device_flags", result.device_flags},
        {"batch_size", result.batch},
        {"processes", result.processes},
        {"group", result.group},
        {"gradient_megabytes", result.gradient_megabytes},
        {"communication_ms", result.communication_ms()},
        {"ms_per_step_median", result.timing.step_ms.quantile(0.5)},
        {"ms_per_step_min", result.timing.step_ms.quantile(0.0)},
        {"ms_per_step_p10", result.timing.step_ms.quantile(0.1)},
        {"ms_per_step_p90", result.timing.step_ms.quantile(0.9)},
        {"images_per_second", result.images_per_second},
        {"gflops", result.gflops},
        {"peak_gflops", result.peak_of.empty() ? Json() : Json(result.roofline.peak.gflops)},
        {"peak_gigabytes_per_second", result.roofline.peak.gigabytes_per_second},
        {"roofline_ms", roofline_ms(timing.passes, result.roofline)},
        {"convolutions_ms", result.convolutions_ms()},
        {"steps_per_launch", timing.steps_per_launch},
        {"graph", graph},
        {"device_bytes", timing.memory.allocated},
        {"workspace_bytes", timing.memory.workspace},
        {"layers", to_json(timing.layers)},
        {"passes", to_json(timing.passes, result.roofline)}});
}

/// Prints the size of the CUDA graph and the device memory. Prints nothing for a CPU, which has neither.
void print_device(const StepTiming& timing) {
  constexpr double kMiB = 1024.0 * 1024.0;
  if (timing.cuda_graph) {
    put(fmt::format("{}  {} nodes a step, {} of them kernels; {} steps a launch\n", bold("graph "),
                    timing.cuda_graph->nodes, timing.cuda_graph->kernels, timing.steps_per_launch));
  }
  if (timing.memory.allocated == 0) return;
  put(fmt::format("{}  {:.1f} MiB on the device, {:.1f} MiB of them workspace\n", bold("memory"),
                  static_cast<double>(timing.memory.allocated) / kMiB,
                  static_cast<double>(timing.memory.workspace) / kMiB));
}

/// Prints what a step of several processes spends on their sum.
void print_communication(const BenchResult& result) {
  if (result.processes == 1) return;
  const double step = result.timing.step_ms.quantile(0.5);
  put(fmt::format(
      "{}  {} processes, {}: {:.3f} ms a step to sum {:.2f} MB of gradients ({:.0f} %), with the wait for "
      "the slowest\n",
      bold("group "), result.processes, result.group, result.communication_ms(), result.gradient_megabytes,
      100.0 * result.communication_ms() / step));
}

void print_text(const BenchResult& result) {
  const Samples& step = result.timing.step_ms;
  const std::int64_t at_once = result.timing.steps_per_launch;
  put(fmt::format(
      "{}  median {:.3f} ms, min {:.3f}, p10 {:.3f}, p90 {:.3f} ({} {})\n", bold("step  "),
      step.quantile(0.5), step.quantile(0.0), step.quantile(0.1), step.quantile(0.9), step.size(),
      at_once == 1 ? (step.size() == 1 ? "step" : "steps") : fmt::format("launches of {} steps", at_once)));
  put(fmt::format("{}  {:.0f} images/s\n", bold("speed "), result.images_per_second));
  const DevicePeak& peak = result.roofline.peak;
  put(fmt::format("{}  {:.1f} GFLOP/s", bold("work  "), result.gflops));
  if (peak.gflops > 0.0) {
    put(fmt::format(", {:.0f} % of the peak of {:.0f} GFLOP/s ({})", 100.0 * result.gflops / peak.gflops,
                    peak.gflops, result.peak_of));
  }
  put("\n");
  put(fmt::format("{}  a copy reads and writes {:.0f} GB/s\n", bold("memory"), peak.gigabytes_per_second));
  print_device(result.timing);
  print_communication(result);
  put(fmt::format("\n{}", roofline_table(result.timing.passes, result.roofline)));
  put(fmt::format(
      "\nConvolutions alone: {:.3f} ms. Times are medians on the device's clock, without a graph.\n",
      result.convolutions_ms()));
}

void measure_peak(const DeviceFlags& flags, BenchResult& result) {
  if (result.device == "cuda") {
    const std::optional<Precision> precision = flags.options.precision;
    if (precision == Precision::bf16) result.roofline.activation_bytes = 2;
    result.roofline.peak = result.roofline.linear = cuda_module().measure_peak(precision);
    if (precision.value_or(Precision::tf32) == Precision::tf32) {
      result.roofline.linear = cuda_module().measure_peak(Precision::fp32);
    }
    result.peak_of = "cuBLASLt's product of large matrices";
    return;
  }
  result.roofline.peak.gigabytes_per_second = measure_copy_peak();
  if (flags.options.precision == Precision::bf16) {
    result.roofline.activation_bytes = 2;
    result.roofline.peak.gflops = measure_bf16_peak();
    result.roofline.linear = result.roofline.peak;
    result.peak_of = "oneDNN's product of large matrices in bf16";
    return;
  }
  const std::optional<FmaPeak> fma = measure_fma_peak();
  if (fma) result.roofline.peak.gflops = fma->gflops;
  result.roofline.linear = result.roofline.peak;
  if (!fma) return;
  result.peak_of =
      fmt::format("FMA, {}, {} thread{}", fma->instructions, fma->threads, fma->threads == 1 ? "" : "s");
}

double step_gflop(const Model& model, std::int64_t batch) {
  double flops = 0.0;
  for (const LayerInfo& layer : infer(model, batch)) {
    flops += static_cast<double>(layer.forward_flops) + static_cast<double>(layer.backward_flops);
  }
  return flops / 1e9;
}

int bench_in(const BenchFlags& flags, const std::shared_ptr<Communicator>& launched) {
  const std::int64_t batch = flags.timing.batch_size;
  const bool real = !flags.data.folder.empty();
  const std::string dataset_name = !flags.data.dataset.empty() ? flags.data.dataset
                                   : real                      ? recognised_dataset(flags.data, "mnist")
                                                               : "mnist";
  const BackendChoice device = make_backend(flags.device, launched);
  const Communicator& group = device.backend->group();
  Dataset dataset;
  if (real)
    dataset = load_data({dataset_name, flags.data.folder}, !flags.json, /*allow_stand_in=*/true).pair.train;
  const Model model = resolve_model(
      flags.model, real ? ImageFormat{dataset.image, dataset.classes, {}} : image_format(dataset_name));
  infer(model, batch);  // throws if the batch is too large for a tensor
  if (!real) dataset = synthetic(model, 16 * batch);
  if (batch > dataset.count()) {
    throw UsageError(fmt::format("--batch-size {} is larger than the {} images", batch, dataset.count()));
  }
  if (!flags.json) {
    put(fmt::format("model   {}, batch {}, {} data\ndevice  {} ({})\n\n", model.name, batch,
                    real ? dataset.name : "synthetic", device.backend->description(), device.reason));
    std::fflush(stdout);
  }

  BenchResult result{.model = model.name,
                     .device = device.backend->name(),
                     .device_flags = flags.device.given,
                     .batch = batch,
                     .timing = time_step(*device.backend, model, dataset, flags.timing),
                     .processes = group.size(),
                     .group = group.description(),
                     .gradient_megabytes = static_cast<double>(trainable_count(model)) * sizeof(float) / 1e6};
  if (!group.leads()) return 0;
  report_plans(flags.device, *device.backend);
  measure_peak(flags.device, result);
  const double seconds = result.timing.step_ms.quantile(0.5) / 1e3;
  result.images_per_second = static_cast<double>(batch * group.size()) / seconds;
  result.gflops = step_gflop(model, batch) / seconds;
  flags.json ? print_json(result) : print_text(result);
  return 0;
}

int run_bench(const BenchFlags& flags) {
  if (!flags.plan.empty()) {
    return plan_bench(
        {flags.plan, flags.model, flags.data, flags.device, flags.timing.batch_size, flags.json});
  }
  return run_in_group([&](const std::shared_ptr<Communicator>& group) { return bench_in(flags, group); });
}

}  // namespace

Command add_bench(CLI::App& program) {
  const auto flags = std::make_shared<BenchFlags>();
  CLI::App& command = *program.add_subcommand("bench", "Time a training step and its operations");
  add_device_flags(command, flags->device);
  add_model_flag(command, flags->model, "convnet");
  command
      .add_option("--batch-size", flags->timing.batch_size,
                  "Images a step; of each process, where several are started")
      ->check(at_least(1))
      ->capture_default_str();
  command
      .add_option("--steps", flags->timing.steps,
                  "Steps to time; on a GPU rounded up to whole launches of 20")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--warmup", flags->timing.warmup, "Steps before that")
      ->check(at_least(0))
      ->capture_default_str();
  add_data_flags(command, flags->data);
  command.get_option("--data")->description("Folder of the data set; without it noise of the same shape");
  add_plan_flag(command, flags->plan);
  add_json_flag(command, flags->json);
  set_footer(command,
             "  convoy bench\n"
             "  convoy bench --model resnet9 --dataset cifar10 --batch-size 64 --json\n"
             "  convoy bench --plan h100 --precision tf32   # needs cuDNN, but no GPU\n");
  return {&command, [flags] { return run_bench(*flags); }};
}

}  // namespace convoy
