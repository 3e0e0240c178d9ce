#include "apps/convoy/optimizer_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <limits>

#include "apps/convoy/flags.h"
#include "convoy/error.h"
#include "engine/backend/checks.h"

namespace convoy {
namespace {

constexpr double kDecayOfAdamW = 0.01;  // PyTorch's default; the other optimizers have none

double weight_decay(const OptimizerFlags& flags) {
  return flags.weight_decay.value_or(flags.name == "adamw" ? kDecayOfAdamW : 0.0);
}

/// Accepts finite numbers from 0 upwards.
CLI::Validator not_negative() {
  const auto check = [](const std::string& text) -> std::string {
    double value = 0.0;
    constexpr double kLargest = std::numeric_limits<float>::max();  // what the engine computes with
    if (CLI::detail::lexical_cast(text, value) && value >= 0.0 && value <= kLargest) return "";  // no NaN
    return fmt::format("'{}' is not a finite number of at least 0", text);
  };
  return {check, ">= 0"};
}

void refuse_flags_of_sgd(const OptimizerFlags& flags) {
  const char* const given = flags.momentum ? "--momentum" : flags.nesterov ? "--nesterov" : nullptr;
  if (given) throw UsageError(fmt::format("{} is for --optimizer sgd, not {}", given, flags.name));
}

}  // namespace

void add_optimizer_flags(CLI::App& command, OptimizerFlags& flags) {
  command.add_option("--optimizer", flags.name, "adam, adamw or sgd")
      ->check(CLI::IsMember({"adam", "adamw", "sgd"}))
      ->capture_default_str();
  command.add_option("--lr", flags.learning_rate, "Learning rate")->check(positive())->capture_default_str();
  command
      .add_option("--weight-decay", flags.weight_decay,
                  "Pull of every parameter towards 0; without it 0, for adamw 0.01")
      ->check(not_negative());
  command.add_option("--momentum", flags.momentum, "Momentum of sgd; without it 0")->check(not_negative());
  command.add_flag("--nesterov", flags.nesterov, "Nesterov's momentum, of sgd");
}

OptimizerOptions optimizer_options(const OptimizerFlags& flags) {
  const auto rate = static_cast<float>(flags.learning_rate), decay = static_cast<float>(weight_decay(flags));
  OptimizerOptions options;
  if (flags.name == "sgd") {
    const double momentum = flags.momentum.value_or(0.0);
    if (flags.nesterov && momentum == 0.0) throw UsageError("--nesterov needs a --momentum above 0");
    options = SgdOptions{.learning_rate = rate,
                         .momentum = static_cast<float>(momentum),
                         .weight_decay = decay,
                         .nesterov = flags.nesterov};
  } else {
    refuse_flags_of_sgd(flags);
    options = AdamOptions{
        .learning_rate = rate, .weight_decay = decay, .decoupled_weight_decay = flags.name == "adamw"};
  }
  check_optimizer(options);  // as floats, which is where the engine's numbers may have become 0
  return options;
}

Json describe(const OptimizerFlags& flags) {
  Json members = {{"optimizer", flags.name},
                  {"learning_rate", flags.learning_rate},
                  {"weight_decay", weight_decay(flags)}};
  if (flags.name == "sgd") {
    members["momentum"] = flags.momentum.value_or(0.0);
    members["nesterov"] = flags.nesterov;
  }
  return members;
}

}  // namespace convoy
