#include "apps/convoy/bench_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <set>

#include "apps/convoy/roofline_table.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/terminal.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/backend/cuda/described/described.h"
#include "engine/backend/cuda/module.h"
#include "engine/train/step.h"

namespace convoy {
namespace {

/// A pass of an operation, and what would do it.
struct PlannedPass {
  PassTiming pass;  // without a time
  std::vector<PlanRow> rows;
};

struct PlannedStep {
  std::vector<PlannedPass> passes;
  Roofline roofline;

  std::int64_t launches() const {
    std::int64_t sum = 0;
    for (const PlannedPass& planned : passes) sum += planned.pass.launches.value_or(0);
    return sum;
  }
  double microseconds() const {
    double sum = 0.0;
    for (const PlannedPass& planned : passes) sum += roofline.ms(planned.pass);
    return 1e3 * sum;
  }
};

PlannedPass planned_pass(const StepPart& part, std::vector<PlanRow> rows) {
  PlannedPass planned{{.name = part.name, .type = part.type, .pass = part.pass, .work = part.work},
                      std::move(rows)};
  planned.pass.launches = 0;
  for (const PlanRow& row : planned.rows) *planned.pass.launches += row.launches;
  return planned;
}

PlannedStep plan_step(DescribedBackend& backend, const Model& model, std::int64_t batch) {
  TrainingState state(backend, model, initial_state(model, /*seed=*/1), {.optimizer = AdamOptions{}});
  TrainingNetwork network(state, model, batch);
  const auto dataset = backend.upload({});
  const auto step = network.training_step(*dataset);
  backend.prepare();
  PlannedStep planned;
  step->run_parts([&](std::size_t next) {
    if (next > 0) planned.passes.push_back(planned_pass(step->parts()[next - 1], backend.take_executed()));
  });
  return planned;
}

std::string plan_text(const PlannedStep& step) {
  Table table(
      {"operation", "pass", "what", "realised by", "notes", "launches", "MFLOP", "MB", "roofline us"});
  for (const std::size_t column : {1, 2, 3, 4}) table.left(column);
  const auto mega = [](std::int64_t count) {
    return fmt::format("{:.2f}", static_cast<double>(count) / 1e6);
  };
  for (const auto& [pass, rows] : step.passes) {
    const std::int64_t bytes = pass.work.bytes(step.roofline.activation_bytes);
    std::vector<std::string> numbers = {mega(pass.work.flops), mega(bytes),
                                        fmt::format("{:.2f}", 1e3 * step.roofline.ms(pass))};
    std::vector<std::string> subject = {pass.name, name_of(pass.pass)};
    for (const PlanRow& row : rows) {  // the numbers are of all rows of a pass, so they stand in its first
      table.add({subject[0], subject[1], row.operation, row.realised_by, row.notes,
                 std::to_string(row.launches), numbers[0], numbers[1], numbers[2]});
      numbers = {"", "", ""};
      subject = {"", ""};
    }
  }
  table.add({"sum", "", "", "", "", std::to_string(step.launches()), "", "",
             fmt::format("{:.1f}", step.microseconds())});
  return table.str();
}

Json plan_json(const PlannedStep& step) {
  Json passes = Json::array();
  for (const auto& [pass, rows] : step.passes) {
    Json plans = Json::array();
    for (const PlanRow& row : rows) {
      plans.push_back({{"operation", row.operation},
                       {"realised_by", row.realised_by},
                       {"notes", row.notes},
                       {"workspace", row.workspace},
                       {"launches", row.launches}});
    }
    passes.push_back({{"name", pass.name},
                      {"type", pass.type},
                      {"pass", name_of(pass.pass)},
                      {"launches", *pass.launches},
                      {"flops", pass.work.flops},
                      {"bytes", pass.work.bytes(step.roofline.activation_bytes)},
                      {"roofline_us", 1e3 * step.roofline.ms(pass)},
                      {"plans", plans}});
  }
  return passes;
}

}  // namespace

void add_plan_flag(CLI::App& command, std::string& device) {
  auto* const plan = command.add_option(
      "--plan", device,
      fmt::format(
          "Time nothing: plan for a GPU that need not be here, and tell launches and a lower bound on "
          "paper. Known are {}",
          fmt::join(described_devices(), ", ")));
  plan->check(CLI::IsMember(described_devices()));
  for (const char* of_a_run : {"--device", "--data", "--steps", "--warmup", "--no-graph", "--autotune"}) {
    plan->excludes(command.get_option(of_a_run));
  }
}

int plan_bench(const PlanBench& bench) {
  DeviceOptions options = bench.device.options;
  options.say = [](const std::string& line, Remedy) { say_note(line); };
  const std::string dataset = bench.data.dataset.empty() ? "mnist" : bench.data.dataset;
  const Model model = resolve_model(bench.model, image_format(dataset));
  const auto backend = cuda_module().make_described(bench.described, options);
  PlannedStep step = plan_step(*backend, model, bench.batch);
  const DescribedDevice& device = described_device(bench.described);
  const Precision precision = precision_on(device, options.precision);
  step.roofline = {.peak = device.peak(precision),
                   .linear = device.peak(precision == Precision::tf32 ? Precision::fp32 : precision),
                   .activation_bytes = precision == Precision::bf16 ? 2 : 4};
  report_plans(bench.device, *backend);
  const DevicePeak& peak = step.roofline.peak;
  if (bench.json) {
    emit({{"event", "plan"},
          {"described", bench.described},
          {"model", model.name},
          {"precision", name_of(precision)},
          {"batch_size", bench.batch},
          {"launches", step.launches()},
          {"roofline_us", step.microseconds()},
          {"peak_gflops", peak.gflops},
          {"peak_gigabytes_per_second", peak.gigabytes_per_second},
          {"passes", plan_json(step)}});
    return 0;
  }
  put(fmt::format("model   {}, batch {}, {}\ndevice  {}, described: nothing is executed\n\n{}", model.name,
                  bench.batch, name_of(precision), bench.described, plan_text(step)));
  put(fmt::format(
      "\nAn estimate, a lower bound on paper: {:.1f} us a step if every pass ran at the {:.0f} GFLOP/s and "
      "{:.0f} GB/s\nof NVIDIA's data sheet (linear layers in tf32 at fp32's), with each tensor read and "
      "written in the GPU's "
      "memory once. "
      "Launches and gaps come on top.\n",
      step.microseconds(), peak.gflops, peak.gigabytes_per_second));
  return 0;
}

}  // namespace convoy
