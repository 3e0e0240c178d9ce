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

void add_muon_flags(CLI::App& command, OptimizerFlags& flags) {
  command.add_flag("--muon", flags.muon,
                   "Train the weights of convolutions with Muon, and all else with --optimizer");
  command.add_option("--muon-lr", flags.muon_learning_rate, "Learning rate of --muon; --lr is of all else")
      ->check(positive())
      ->capture_default_str();
  command.add_option("--muon-momentum", flags.muon_momentum, "Momentum of --muon, below 1; without it 0.95")
      ->check(not_negative());
  command
      .add_option("--muon-weight-decay", flags.muon_weight_decay,
                  "Pull of the weights of --muon towards 0; without it 0.1")
      ->check(not_negative());
  command.add_flag("--muon-linear", flags.muon_linear,
                   "Train the weights of linear layers with --muon, too, but for the last one");
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
  command
      .add_option(
          "--decay", flags.decay,
          "What --weight-decay pulls: all parameters, or the weights of convolutions and linear layers "
          "alone, without biases and norms")
      ->check(CLI::IsMember({"all", "weights"}))
      ->capture_default_str();
  command
      .add_option("--clip-norm", flags.clip_norm,
                  "Scale gradients down where the norm of all of them is above X; 0: never")
      ->option_text("X")
      ->check(not_negative())
      ->capture_default_str();
  command
      .add_option("--ema", flags.ema,
                  "Keep a moving average of the weights with that decay, as 0.999, and test and write that; "
                  "0: none. Excludes --swa")
      ->option_text("DECAY")
      ->check(not_negative())
      ->capture_default_str();
  add_muon_flags(command, flags);
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

std::optional<MuonOptions> muon_options(const OptimizerFlags& flags) {
  MuonOptions muon;
  if (!flags.muon) {
    const bool other_rate = static_cast<float>(flags.muon_learning_rate) != muon.learning_rate;
    const char* const given = other_rate                ? "--muon-lr"
                              : flags.muon_momentum     ? "--muon-momentum"
                              : flags.muon_weight_decay ? "--muon-weight-decay"
                              : flags.muon_linear       ? "--muon-linear"
                                                        : nullptr;
    if (given) throw UsageError(fmt::format("{} needs --muon", given));
    return {};
  }
  muon.learning_rate = static_cast<float>(flags.muon_learning_rate);
  if (flags.muon_momentum) muon.momentum = static_cast<float>(*flags.muon_momentum);
  if (flags.muon_weight_decay) muon.weight_decay = static_cast<float>(*flags.muon_weight_decay);
  muon.linear_layers = flags.muon_linear;
  check_muon(muon);
  return muon;
}

void set_optimizer(TrainOptions& options, const OptimizerFlags& flags) {
  options.muon = muon_options(flags);
  options.optimizer = optimizer_options(flags);
  options.decay_weights_only = flags.decay == "weights";
  options.clip_norm = static_cast<float>(flags.clip_norm);
  if (flags.clip_norm != 0.0) check_clip_norm(options.clip_norm);
  options.ema_decay = flags.ema;
  if (flags.ema != 0.0) check_ema_decay(flags.ema);
}

Json describe(const OptimizerFlags& flags) {
  Json members = {{"optimizer", flags.name},
                  {"learning_rate", flags.learning_rate},
                  {"weight_decay", weight_decay(flags)}};
  if (flags.decay != "all") members["decay"] = flags.decay;
  if (flags.clip_norm != 0.0) members["clip_norm"] = flags.clip_norm;
  if (flags.ema != 0.0) members["ema"] = flags.ema;
  if (const std::optional<MuonOptions> muon = muon_options(flags)) {
    members["muon"] = {{"learning_rate", flags.muon_learning_rate},
                       {"momentum", flags.muon_momentum.value_or(0.95)},
                       {"weight_decay", flags.muon_weight_decay.value_or(0.1)},
                       {"linear_layers", flags.muon_linear}};
  }
  if (flags.name == "sgd") {
    members["momentum"] = flags.momentum.value_or(0.0);
    members["nesterov"] = flags.nesterov;
  }
  return members;
}

}  // namespace convoy
