#include "engine/train/train_options.h"

#include <fmt/format.h>

#include <array>
#include <functional>
#include <optional>
#include <string>

#include "convoy/error.h"
#include "convoy/model_file.h"
#include "engine/backend/checks.h"
#include "engine/core/step_table.h"

namespace convoy {
namespace {

std::string in_words(const AdamOptions& adam) {
  return fmt::format("{} {} {} {} {} {}", adam.learning_rate, adam.beta1, adam.beta2, adam.epsilon,
                     adam.weight_decay, adam.decoupled_weight_decay);
}

std::string in_words(const SgdOptions& sgd) {
  return fmt::format("{} {} {} {}", sgd.learning_rate, sgd.momentum, sgd.weight_decay, sgd.nesterov);
}

std::string in_words(const AugmentationOptions& options) {
  return fmt::format("{} {} {} {} {} {}", options.max_shift, static_cast<int>(options.flip),
                     static_cast<int>(options.padding), options.cutout, options.max_rotation,
                     options.max_scaling);
}

std::string in_words(const std::optional<MuonOptions>& muon) {
  if (!muon) return "none";
  return fmt::format("{} {} {} {} {} {} {}", muon->learning_rate, muon->momentum, muon->nesterov,
                     muon->weight_decay, muon->steps, static_cast<int>(muon->adjust_rate),
                     muon->linear_layers);
}

}  // namespace

void check(const TrainOptions& options) {
  if (options.batch_size < 1) {
    throw UsageError(fmt::format("batch size {} is not positive", options.batch_size));
  }
  if (options.epochs < 1) throw UsageError(fmt::format("{} epochs: at least 1 is needed", options.epochs));
  if (options.bn_batches < 0) throw UsageError(fmt::format("bn_batches {} is negative", options.bn_batches));
  if (options.profile_steps < 0) {
    throw UsageError(fmt::format("profile_steps {} is negative", options.profile_steps));
  }
  if (options.save_every < 0) throw UsageError(fmt::format("save_every {} is negative", options.save_every));
  if (options.pause_every < 0) {
    throw UsageError(fmt::format("pause_every {} is negative", options.pause_every));
  }
  if (options.log_every < 0) throw UsageError(fmt::format("log_every {} is negative", options.log_every));
  check_optimizer(options.optimizer);
  check_schedule(step_rule(options.optimizer, options.schedule));
  check_label_smoothing(options.label_smoothing);
  if (options.muon) check_muon(*options.muon);
  if (options.clip_norm != 0.0f) check_clip_norm(options.clip_norm);
  if (options.ema_decay != 0.0) check_ema_decay(options.ema_decay);
  if (options.ema_decay != 0.0 && options.swa) {
    throw UsageError("ema_decay and swa both average the weights: leave one of them out");
  }
}

void require_one_training(Communicator& group, const TrainOptions& options, const TrainingPosition& position,
                          const Dataset& dataset) {
  if (group.size() == 1) return;
  const auto count = [](std::int64_t value) { return static_cast<double>(value); };
  const std::array<double, 8> ours = {count(dataset.count()),
                                      count(options.batch_size),
                                      count(options.epochs),
                                      count(options.log_every),
                                      count(static_cast<std::int64_t>(options.seed)),
                                      count(options.save_every),
                                      count(position.epoch),
                                      count(position.step)};
  constexpr std::array<const char*, 8> kNames = {"images",
                                                 "of batch size",
                                                 "epochs",
                                                 "steps to a log",
                                                 "as seed",
                                                 "steps to a save",
                                                 "as epoch to go on in",
                                                 "as step to go on from"};
  std::array<double, 8> rank_0 = ours;
  group.broadcast(std::as_writable_bytes(std::span(rank_0)));
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i] == rank_0[i]) continue;
    throw UsageError(
        fmt::format("this process has {} {}, rank 0 has {}: start all with the same flags and data", ours[i],
                    kNames[i], rank_0[i]));
  }
}

void require_one_model(Communicator& group, Model model, const TrainOptions& options) {
  if (group.size() == 1) return;
  model.preparation.reset();  // of the images, which are compared by their number
  const std::string text =
      std::visit([](const auto& optimizer) { return in_words(optimizer); }, options.optimizer) +
      fmt::format(" {} {} {} {}", in_words(options.muon), options.decay_weights_only, options.clip_norm,
                  options.ema_decay) +
      fmt::format(" {}", in_words(options.schedule)) + in_words(options.augmentation) +
      fmt::format(" {} {} {} {} {} {}", options.swa, options.bn_batches, options.label_smoothing,
                  options.check_finite, options.profile_steps, options.pause_every) +
      to_json(model);
  const std::size_t ours = std::hash<std::string>()(text);
  std::size_t rank_0 = ours;
  group.broadcast(std::as_writable_bytes(std::span(&rank_0, 1)));
  if (ours == rank_0) return;
  throw UsageError(
      "this process has another model or other options of the training than rank 0: start all "
      "with the same flags");
}

}  // namespace convoy
