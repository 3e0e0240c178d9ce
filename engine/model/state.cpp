#include "convoy/state.h"

#include <fmt/format.h>

#include <cmath>
#include <unordered_map>
#include <utility>

#include "convoy/error.h"
#include "engine/core/philox.h"
#include "engine/core/random_streams.h"
#include "engine/model/layer_rules.h"
#include "engine/model/text.h"

namespace convoy {
namespace {

HostTensor initial_tensor(const TensorSpec& spec, RandomStream random) {
  HostTensor tensor = zeros(spec.shape, spec.dtype);
  PhiloxSequence sequence(random);
  for (double& value : tensor.values) {
    // Rounded to float32, which backends and checkpoints store, so that saving does not change a value.
    value = spec.init_bound > 0.0
                ? static_cast<double>(static_cast<float>(sequence.uniform(-spec.init_bound, spec.init_bound)))
                : spec.init_constant;
  }
  return tensor;
}

}  // namespace

std::vector<TensorSpec> tensor_specs(const Model& model) {
  std::vector<TensorSpec> specs;
  for (const LayerInfo& info : infer(model, 1)) {
    for (TensorSpec& spec : layer_tensors(*info.layer)) {
      spec.name = info.name + "." + spec.name;
      specs.push_back(std::move(spec));
    }
  }
  return specs;
}

StateDict initial_state(const Model& model, std::uint64_t seed) {
  StateDict state;
  std::uint32_t stream = random_streams::kInitialValues;
  for (const TensorSpec& spec : tensor_specs(model)) {
    state.emplace_back(spec.name, initial_tensor(spec, {.seed = seed, .stream = stream++}));
  }
  return state;
}

void check_state(const Model& model, const StateDict& state, const std::string& source) {
  const auto fail = [&](const std::string& problem) {
    throw Error(fmt::format("{}: {}; is it the state of another model?", source, problem));
  };
  std::unordered_map<std::string, const HostTensor*> found;
  for (const auto& [name, tensor] : state) {
    if (!found.emplace(name, &tensor).second) fail(fmt::format("{} appears twice", in_quotes(name)));
  }
  for (const TensorSpec& spec : tensor_specs(model)) {
    const auto entry = found.find(spec.name);
    if (entry == found.end())
      fail(fmt::format("{} of model {} is missing", in_quotes(spec.name), in_quotes(model.name)));
    const HostTensor& tensor = *entry->second;
    if (tensor.shape != spec.shape) {
      fail(fmt::format("{} is {}, but {} in model {}", in_quotes(spec.name), tensor.shape.str(),
                       spec.shape.str(), in_quotes(model.name)));
    }
    if (tensor.values.size() != static_cast<std::size_t>(spec.shape.count())) {
      fail(fmt::format("{} holds {} values for its shape {}", in_quotes(spec.name), tensor.values.size(),
                       spec.shape.str()));
    }
    found.erase(entry);
  }
  for (const auto& [name, tensor] : state) {  // in the state's order, so that the message is always the same
    if (found.contains(name))
      fail(fmt::format("{} is not in model {}", in_quotes(name), in_quotes(model.name)));
  }
}

void check_finite(const StateDict& state, const std::string& source) {
  for (const auto& [name, tensor] : state) {
    for (const double value : tensor.values) {
      if (std::isfinite(static_cast<float>(value))) continue;
      throw Error(
          fmt::format("{}: {} holds {}, from which nothing can be computed", source, in_quotes(name), value));
    }
  }
}

}  // namespace convoy
