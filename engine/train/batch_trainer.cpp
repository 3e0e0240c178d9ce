#include "convoy/batch_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/core/step_table.h"
#include "engine/train/step.h"

namespace convoy {
namespace {

std::vector<float> normalized(std::span<const std::uint8_t> bytes, const Shape& image,
                              const Normalization& normalization) {
  check_normalization(normalization, image, "the batch");
  const auto plane = static_cast<std::size_t>(image[1] * image[2]);
  const auto channels = static_cast<std::size_t>(image[0]);
  const auto of_channel = [](const std::vector<float>& values, std::size_t c) {
    return double{values[values.size() == 1 ? 0 : c]};
  };
  std::vector<float> values(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t c = i / plane % channels;
    const double mean = of_channel(normalization.mean, c), deviation = of_channel(normalization.std, c);
    values[i] = static_cast<float>((bytes[i] / 255.0 - mean) / deviation);
  }
  return values;
}

}  // namespace

class BatchTrainer::Impl {
 public:
  Impl(Backend& backend, const Model& model, const StateDict& state, const BatchTrainerOptions& options)
      : model_(model),
        state_(backend, model_, of_rank_0(backend.group(), state),
               {.optimizer = options.optimizer,
                .seed = options.seed,
                .label_smoothing = options.label_smoothing,
                .decay_weights_only = options.decay_weights_only,
                .clip_norm = options.clip_norm,
                .muon = options.muon}),
        place_(backend.group().place()),
        sum_(place_.size > 1 ? backend.make_gradient_sum(state_.parameters.arena()) : nullptr) {
    const StepRule rule =
        step_rule(options.optimizer, options.schedule,
                  {.steps_per_epoch = options.steps_per_epoch, .total_steps = options.total_steps});
    state_.counter->set_rule(rule);
    last_step_ = last_step(rule);
  }

  void forward(std::span<const float> images, Phase phase) {
    if (phase == Phase::training && !counted_ && last_step_ > 0 && state_.counted == last_step_) {
      throw UsageError(fmt::format("OneCycleLR: all of its {} steps have been made", last_step_));
    }
    TrainingNetwork& network = load(images);
    // All forwards before a step() belong to one training step: one dropout mask, one bias correction.
    if (phase == Phase::training && !counted_) {
      state_.counter->advance();
      ++state_.counted;
    }
    counted_ = counted_ || phase == Phase::training;
    network.network().forward(phase);
    current_ = &network;
    done_ = phase == Phase::training ? Done::forward : Done::nothing;
  }

  std::vector<double> logits() const {
    if (!current_) throw UsageError("there are no logits before the first forward");
    return state_.backend.read(*current_->network().output().value);
  }

  double loss(std::span<const std::uint8_t> labels) {
    require(Done::forward, "a loss needs a forward before it");
    const Shape& logits = current_->network().output().value->shape();
    if (std::ssize(labels) != logits[0]) {
      throw UsageError(fmt::format("{} labels for a batch of {} images", labels.size(), logits[0]));
    }
    const auto largest = std::ranges::max(labels);
    if (largest >= logits[1]) {
      throw UsageError(fmt::format("label {} is not one of {} classes", largest, logits[1]));
    }
    state_.backend.write(*current_->labels(), std::vector<double>(labels.begin(), labels.end()));
    current_->loss().operation->forward(Phase::training);
    done_ = Done::loss;
    // Gradients are divided by the images of all processes, and so is what this one adds to the loss.
    return state_.metrics->read().last_loss * place_.size;
  }

  void backward() {
    require(Done::loss, "a backward needs a loss before it");
    current_->loss().operation->backward();
    current_->network().backward();
    done_ = Done::backward;
  }

  void step() {
    require(Done::backward, "a step needs a backward before it");
    if (sum_) {
      sum_->start(0, state_.parameters.arena().variables().size());
      sum_->finish();
    }
    if (state_.clip) state_.clip->measure();
    state_.optimizer->step();
    if (state_.muon) state_.muon->step();
    done_ = Done::nothing;
    counted_ = false;
  }

  const Shape& image() const { return model_.input; }
  StateDict state() const { return state_.parameters.state(state_.counter->read()); }
  StateDict gradients() const { return state_.parameters.gradients(); }

 private:
  enum class Done { nothing, forward, loss, backward };

  void require(Done least, const char* problem) const {
    if (done_ < least) throw UsageError(problem);
  }

  /// The network of that many images, with the images in it.
  TrainingNetwork& load(std::span<const float> images) {
    const std::int64_t size = model_.input.count();
    const std::int64_t batch = std::ssize(images) / size;
    if (batch < 1 || batch * size != std::ssize(images)) {
      throw UsageError(fmt::format("{} values are not a whole number of images {}, at least one",
                                   images.size(), model_.input.str()));
    }
    auto found = networks_.find(batch);
    if (found == networks_.end()) {
      auto made = std::make_unique<TrainingNetwork>(
          state_, model_, BatchShare(batch, place_.rank * batch, place_.size * batch));
      state_.backend.prepare();  // if it throws, nothing is kept
      found = networks_.emplace(batch, std::move(made)).first;
    }
    TrainingNetwork& network = *found->second;
    state_.backend.write(*network.images(), std::vector<double>(images.begin(), images.end()));
    return network;
  }

  Model model_;
  TrainingState state_;
  GroupPlace place_;
  std::unique_ptr<GradientSum> sum_;                                   // null for a process alone
  std::map<std::int64_t, std::unique_ptr<TrainingNetwork>> networks_;  // by batch size
  TrainingNetwork* current_ = nullptr;                                 // of the last forward
  Done done_ = Done::nothing;
  std::int64_t last_step_ = 0;  // of the schedule; 0: there is none
  bool counted_ = false;        // the step that is under way has its number
};

BatchTrainer::BatchTrainer(Backend& backend, const Model& model, const StateDict& state,
                           const BatchTrainerOptions& options)
    : impl_(std::make_unique<Impl>(backend, model, state, options)) {}

BatchTrainer::~BatchTrainer() = default;

void BatchTrainer::forward(std::span<const float> images) { impl_->forward(images, Phase::training); }

void BatchTrainer::forward(std::span<const std::uint8_t> images, const Normalization& normalization) {
  impl_->forward(normalized(images, impl_->image(), normalization), Phase::training);
}

std::vector<double> BatchTrainer::logits() const { return impl_->logits(); }
double BatchTrainer::loss(std::span<const std::uint8_t> labels) { return impl_->loss(labels); }
void BatchTrainer::backward() { impl_->backward(); }
void BatchTrainer::step() { impl_->step(); }

std::vector<double> BatchTrainer::evaluate(std::span<const float> images) {
  impl_->forward(images, Phase::evaluation);
  return impl_->logits();
}

std::vector<double> BatchTrainer::evaluate(std::span<const std::uint8_t> images,
                                           const Normalization& normalization) {
  return evaluate(normalized(images, impl_->image(), normalization));
}

StateDict BatchTrainer::state() const { return impl_->state(); }
StateDict BatchTrainer::gradients() const { return impl_->gradients(); }

}  // namespace convoy
