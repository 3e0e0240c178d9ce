#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "convoy/state.h"
#include "engine/model/named_shapes.h"
#include "engine/model/text.h"

namespace convoy {
namespace {

using Names = std::vector<std::string>;

// The names under which PyTorch's wrappers hold the model.
constexpr std::array<std::string_view, 2> kWrappers = {"module.", "_orig_mod."};
// What torch.optim.swa_utils.AveragedModel counts beside it.
constexpr std::string_view kAveragedModels = "n_averaged";

/// The name without the wrappers' parts, wherever they are.
std::string unwrapped(const std::string& name) {
  std::string result;
  for (std::size_t at = 0; at < name.size();) {
    const std::string_view rest = std::string_view(name).substr(at);
    const auto is_next = [&](std::string_view wrapper) { return rest.starts_with(wrapper); };
    if (const auto* wrapper = std::ranges::find_if(kWrappers, is_next); wrapper != kWrappers.end()) {
      at += wrapper->size();
      continue;
    }
    const std::size_t part =
        std::min(rest.size(), rest.find('.') == rest.npos ? rest.size() : rest.find('.') + 1);
    result += rest.substr(0, part);
    at += part;
  }
  return result;
}

/// What stands in front of `wanted` in one of the names, if it stands in front of all.
std::optional<std::string> common_prefix(const Names& names, const std::string& wanted) {
  for (const std::string& name : names) {
    if (!name.ends_with("." + wanted)) continue;
    const std::string prefix = name.substr(0, name.size() - wanted.size());
    if (std::ranges::all_of(names, [&](const std::string& other) { return other.starts_with(prefix); }))
      return prefix;
  }
  return std::nullopt;
}

/// Changes names as long as more of them become the model's. Returns what was left out, for a message.
std::string rename(Names& names, const std::vector<TensorSpec>& specs) {
  std::unordered_set<std::string> wanted;
  for (const TensorSpec& spec : specs) wanted.insert(spec.name);
  const auto known = [&](const Names& some) {
    return std::ranges::count_if(some, [&](const std::string& name) { return wanted.contains(name); });
  };
  std::string left_out;
  const auto take_if_better = [&](Names changed) {
    if (known(changed) <= known(names)) return;
    const std::string &before = names.front(), &after = changed.front();
    const std::string_view front = std::string_view(before).substr(0, before.size() - after.size());
    const bool is_prefix = before.ends_with(after) && front.ends_with('.');
    left_out += fmt::format("{}{}", left_out.empty() ? "" : " and ",
                            is_prefix ? in_quotes(front) : "the parts 'module.' and '_orig_mod.'");
    names = std::move(changed);
  };
  Names changed;
  for (const std::string& name : names) changed.push_back(unwrapped(name));
  take_if_better(changed);
  if (const auto prefix = common_prefix(names, specs.front().name)) {
    changed.clear();
    for (const std::string& name : names) changed.push_back(name.substr(prefix->size()));
    take_if_better(changed);
  }
  return left_out;
}

/// The names without what wrappers put into them. Returns what was left out, for a message.
std::string unwrap(Names& names, const std::vector<TensorSpec>& specs) {
  return names.empty() || specs.empty() ? "" : rename(names, specs);
}

/// Whether the name is that of AveragedModel's counter, and of no tensor of the model's.
bool is_averaged_models(const std::string& name, const std::vector<TensorSpec>& specs) {
  return name == kAveragedModels &&
         std::ranges::none_of(specs, [&](const TensorSpec& spec) { return spec.name == name; });
}

}  // namespace

StateDict match_state(const Model& model, StateDict state, const std::string& source,
                      const std::function<void(const std::string&)>& say) {
  const std::vector<TensorSpec> specs = tensor_specs(model);
  std::erase_if(state, [&](const auto& entry) { return is_averaged_models(entry.first, specs); });
  Names names;
  for (const auto& [name, tensor] : state) names.push_back(name);
  const std::string left_out = unwrap(names, specs);
  if (!left_out.empty() && say) say(fmt::format("{}: {} left out of the tensors' names", source, left_out));
  for (std::size_t i = 0; i < state.size(); ++i) state[i].first = names[i];
  for (const TensorSpec& spec : specs) {
    const bool counter = spec.role == TensorRole::num_batches_tracked;
    if (counter && find(state, spec.name) == nullptr)
      state.emplace_back(spec.name, zeros(spec.shape, spec.dtype));
  }
  check_state(model, state, source);
  return state;
}

bool is_state_of(const Model& model, std::vector<NamedShape> tensors) {
  const std::vector<TensorSpec> specs = tensor_specs(model);
  std::erase_if(tensors, [&](const NamedShape& tensor) { return is_averaged_models(tensor.name, specs); });
  if (tensors.size() > specs.size()) return false;
  Names names;
  for (const NamedShape& tensor : tensors) names.push_back(tensor.name);
  unwrap(names, specs);
  std::unordered_map<std::string_view, const Shape*> found;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!found.emplace(names[i], &tensors[i].shape).second) return false;
  }
  for (const TensorSpec& spec : specs) {
    const auto entry = found.find(spec.name);
    if (entry == found.end() && spec.role == TensorRole::num_batches_tracked) continue;
    if (entry == found.end() || *entry->second != spec.shape) return false;
    found.erase(entry);
  }
  return found.empty();
}

}  // namespace convoy
