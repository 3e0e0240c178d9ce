#include "engine/train/update_parts.h"

#include "engine/train/roofline.h"

namespace convoy {
namespace {

std::string optimizer_type(const OptimizerOptions& options) {
  const auto* adam = std::get_if<AdamOptions>(&options);
  if (!adam) return "SGD";
  return adam->decoupled_weight_decay ? "AdamW" : "Adam";
}

/// The values of the parameters that Muon has, or of the others.
std::vector<TensorPtr> values_of(TrainingState& state, bool of_muon) {
  std::vector<TensorPtr> values;
  const auto variables = state.parameters.arena().variables();
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const bool is_muons = !state.groups.empty() && state.groups[i] == ParameterGroup::orthogonalized;
    if (is_muons == of_muon) values.push_back(variables[i].value);
  }
  return values;
}

}  // namespace

void add_update_parts(TrainingState& state, std::vector<StepPart>& parts) {
  const auto add = [&](const char* name, const std::string& type, std::function<void()> run,
                       std::vector<TensorPtr> writes, const Work& work) {
    parts.push_back({name, type, Pass::update, std::move(run), std::move(writes), work});
  };
  if (state.clip) {
    add(
        "clip", "ClipGradNorm", [&state] { state.clip->measure(); }, {state.clip->result()},
        clip_work(state.parameters.arena()));
  }
  std::vector<TensorPtr> parameters = values_of(state, false), matrices = values_of(state, true);
  const Work work = optimizer_work(parameters, *state.optimizer);
  add(
      "optimizer", optimizer_type(state.options.optimizer), [&state] { state.optimizer->step(); },
      std::move(parameters), work);
  if (state.muon) {
    const Work muon = muon_work(matrices, state.options.muon->steps);
    add(
        "muon", "Muon", [&state] { state.muon->step(); }, std::move(matrices), muon);
  }
  if (!state.ema) return;
  const std::span<const TensorPtr> means = state.ema->means();
  add(
      "ema", "MovingAverage", [&state] { state.ema->update(); }, {means.begin(), means.end()},
      moving_average_work(*state.ema));
}

}  // namespace convoy
