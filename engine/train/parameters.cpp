#include <fmt/format.h>

#include <map>

#include "engine/core/error.h"
#include "engine/train/network.h"

namespace convoy {
namespace {

// A Linear behind a Flatten sees the activation that was flattened, still [N, C, H, W], so its weight
// [O, C H W] is kept as [O, C, H, W]: the same elements in the same row-major order.
class WeightViews {
 public:
  explicit WeightViews(const Model& model) {
    for (LayerInfo& info : infer(model, 1)) outputs_.emplace(info.name, std::move(info.output));
    walk(model.layers, "", Shape{1, model.input[0], model.input[1], model.input[2]});
  }

  Shape of(const TensorSpec& spec) const {
    const auto view = views_.find(spec.name);
    return view == views_.end() ? spec.shape : view->second;
  }

 private:
  void walk(const std::vector<NamedLayer>& layers, const std::string& prefix, Shape memory) {
    for (const NamedLayer& named : layers) {
      const std::string name = prefix + named.name;
      if (const auto* residual = std::get_if<Residual>(&named.layer)) {
        walk(residual->body, name + ".", memory);
        walk(residual->shortcut, name + ".", memory);
      } else if (const auto* linear = std::get_if<Linear>(&named.layer); linear && memory.rank() == 4) {
        views_.emplace(name + ".weight", Shape{linear->out_features, memory[1], memory[2], memory[3]});
      }
      const bool keeps_memory = std::holds_alternative<Flatten>(named.layer) ||
                                std::holds_alternative<ReLU>(named.layer) ||
                                std::holds_alternative<Dropout>(named.layer);
      if (!keeps_memory) memory = outputs_.at(name);
    }
  }

  std::map<std::string, Shape> outputs_;
  std::map<std::string, Shape> views_;
};

}  // namespace

Parameters::Parameters(Backend& backend, const Model& model, const StateDict& state, bool with_gradients)
    : backend_(backend), specs_(tensor_specs(model)) {
  check_state(model, state, "the initial state");
  const WeightViews views(model);
  std::vector<Shape> trainable;
  for (const TensorSpec& spec : specs_) {
    if (spec.trainable()) trainable.push_back(views.of(spec));
  }
  arena_ = backend.make_parameters(trainable, with_gradients);

  auto next = arena_->variables().begin();
  for (const TensorSpec& spec : specs_) {
    Variable variable;
    if (spec.trainable()) {
      variable = *next++;
    } else if (spec.role != TensorRole::num_batches_tracked) {
      variable.value = backend.make_tensor(spec.shape, spec.dtype);
    }
    variables_.push_back(variable);
  }
  batches_tracked_.resize(specs_.size());
  load(state, 0);
}

StateDict Parameters::state(std::int64_t training_steps) const {
  StateDict state;
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const TensorSpec& spec = specs_[i];
    std::vector<double> values = spec.role == TensorRole::num_batches_tracked
                                     ? std::vector{batches_tracked_[i] + static_cast<double>(training_steps)}
                                     : backend_.read(*variables_[i].value);
    state.emplace_back(spec.name, HostTensor{spec.shape, std::move(values), spec.dtype});
  }
  return state;
}

StateDict Parameters::gradients() const {
  StateDict gradients;
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    if (!variables_[i].grad) continue;
    gradients.emplace_back(specs_[i].name,
                           HostTensor{specs_[i].shape, backend_.read(*variables_[i].grad), specs_[i].dtype});
  }
  return gradients;
}

void Parameters::load(const StateDict& state, std::int64_t training_steps) {
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const std::vector<double>& values = find(state, specs_[i].name)->values;
    if (specs_[i].role == TensorRole::num_batches_tracked) {
      batches_tracked_[i] = values[0] - static_cast<double>(training_steps);
    } else {
      backend_.write(*variables_[i].value, values);
    }
  }
}

const Variable& Parameters::at(const std::string& name) const {
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    if (specs_[i].name == name) return variables_[i];
  }
  throw Error(fmt::format("the model has no tensor '{}'", name));
}

void Parameters::write(const std::string& name, std::span<const double> values) {
  backend_.write(*at(name).value, values);
}

}  // namespace convoy
