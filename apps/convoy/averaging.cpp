#include "apps/convoy/averaging.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "apps/convoy/flags.h"
#include "convoy/error.h"

namespace convoy {

void add_averaging_flags(CLI::App& command, TrainOptions& options) {
  command.add_flag(
      "--swa", options.swa,
      "Stochastic weight averaging: leave the mean of ten sets of weights from the last fifth of "
      "the steps. Without it those of the last step, as the classic program does");
  command
      .add_option("--bn-batches", options.bn_batches,
                  "With --swa: measure batch norm's statistics anew for the average, on N batches; 0: do not")
      ->check(at_least(0))
      ->capture_default_str();
}

void check_averaging(const CLI::App& command, const TrainOptions& options) {
  if (options.swa && options.ema_decay != 0.0) {
    throw UsageError(
        "--ema and --swa both average the weights: leave one of them out (--swa=false, if a file has it)");
  }
  if (options.swa || command.get_option("--bn-batches")->count() == 0) return;
  throw UsageError("--bn-batches is of an average of the weights, which takes --swa");
}

std::string weights_in_words(const Json& record) {
  if (record.contains("ema")) {
    return fmt::format("the moving average of all steps, by {} (--ema)", record["ema"].get<double>());
  }
  if (!record["swa"].get<bool>()) {
    const bool constant = record["schedule"] == "constant";  // that is what was measured
    return std::string("the last step's, as in the classic program; --swa averages the last fifth") +
           (constant ? " (on MNIST half a point better after five epochs)" : "");
  }
  const auto batches = record["bn_batches"].get<std::int64_t>();
  return fmt::format("the mean of ten sets from the last fifth of the steps (--swa); {}",
                     batches > 0 ? fmt::format("batch norm is then measured on {} batches", batches)
                                 : "batch norm's statistics stay the last step's");
}

Json without_settle(Json record, const std::string& run) {
  if (!record.contains("settle_batches")) return record;
  // Then 50 was the default, so the flags alone do not tell.
  const std::string batches = record["settle_batches"].dump();
  Json& flags = record["flags"];
  flags.erase("--settle");
  if (batches != "0") {
    flags["--swa"] = Json::array({"true"});
    flags["--bn-batches"] = Json::array({batches});
  }
  say_note(fmt::format("{} is of an older Convoy: its --settle {} goes on as {}", run, batches,
                       batches == "0" ? "a training without --swa" : "--swa --bn-batches " + batches));
  return record;
}

}  // namespace convoy
