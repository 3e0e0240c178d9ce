#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "apps/convoy/exported_model.h"
#include "apps/convoy/inspection.h"
#include "apps/convoy/model_fit.h"
#include "apps/convoy/run_folder.h"
#include "convoy/error.h"
#include "convoy/model_file.h"
#include "engine/io/quote.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

/// The first tensor of each storage that several share, by the storage: `name`, or `place -> name`.
std::map<std::string, std::string> shared_storages(const FileContents& contents) {
  std::map<std::string, std::pair<std::string, int>> users;
  for (const TensorGroup& group : contents.groups) {
    for (const StoredTensor& tensor : group.tensors) {
      if (tensor.storage.empty()) continue;
      const std::string name = group.place.empty() ? tensor.name : group.place + " -> " + tensor.name;
      ++users.try_emplace(tensor.storage, name, 0).first->second.second;
    }
  }
  std::map<std::string, std::string> shared;
  for (auto& [storage, user] : users) {
    if (user.second > 1) shared[storage] = user.first;
  }
  return shared;
}

using Shared = std::map<std::string, std::string>;

std::string shared_with(const StoredTensor& tensor, const Shared& shared) {
  const auto first = shared.find(tensor.storage);
  return first == shared.end() ? "" : first->second;
}

Json json_of(const TensorGroup& group, const StoredTensor& tensor, const Shared& shared) {
  const ElementSummary& elements = tensor.elements;
  const auto number = [&](double value) { return elements.finite > 0 ? Json(value) : Json(nullptr); };
  Json json = {{"place", group.place},
               {"name", tensor.name},
               {"shape", tensor.shape.dimensions()},
               {"type", tensor.type},
               {"min", number(elements.min)},
               {"max", number(elements.max)},
               {"mean", number(elements.mean)},
               {"nan", elements.nan},
               {"infinite", elements.infinite},
               {"storage_of", shared_with(tensor, shared)}};
  if (!tensor.problem.empty()) json["problem"] = tensor.problem;
  return json;
}

/// A name as it is, if it can stand in a table.
std::string printable(const std::string& name) {
  const bool plain = std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f; });
  return plain && !name.empty() && name.size() <= 80 ? name : quote(name);
}

std::string table_of(const TensorGroup& group, const Shared& shared) {
  Table table({"tensor", "shape", "type", "min", "max", "mean", "NaN", "inf", "storage of"});
  for (const std::size_t column : {1U, 2U, 8U}) table.left(column);
  for (const StoredTensor& tensor : group.tensors) {
    const ElementSummary& elements = tensor.elements;
    const auto number = [&](double value) {
      return elements.finite > 0 ? fmt::format("{:.4g}", value) : "-";
    };
    table.add({printable(tensor.name), tensor.shape.str(), tensor.type.empty() ? "not read" : tensor.type,
               number(elements.min), number(elements.max), number(elements.mean),
               std::to_string(elements.nan), std::to_string(elements.infinite), shared_with(tensor, shared)});
  }
  return table.str();
}

std::int64_t elements_of(const TensorGroup& group) {
  std::int64_t count = 0;
  for (const StoredTensor& tensor : group.tensors) {
    const ElementSummary& elements = tensor.elements;
    count += elements.finite + elements.nan + elements.infinite;
  }
  return count;
}

/// The elements of a state dict that are trained: all but the running statistics.
std::int64_t parameters_of(const TensorGroup& group) {
  TensorGroup trained;
  for (const StoredTensor& tensor : group.tensors) {
    const bool is_statistic = std::ranges::any_of(
        std::to_array<std::string_view>({"running_mean", "running_var", "num_batches_tracked"}),
        [&](std::string_view role) { return tensor.name.ends_with(role); });
    if (!is_statistic) trained.tensors.push_back(tensor);
  }
  return elements_of(trained);
}

/// What is known of the model that the state is of, in words; empty if nothing is.
std::string model_of(const fs::path& file, const std::vector<StoredTensor>& tensors) {
  const auto is_read = [](const StoredTensor& tensor) {
    return tensor.problem.empty() && !tensor.type.empty();
  };
  if (!std::ranges::all_of(tensors, is_read)) return "";
  const auto words = [](const Model& model, const char* from) {
    return fmt::format("{} for images {}{}", model.name, model.input.str(), from);
  };
  if (const auto within = model_in_checkpoint(file)) {
    return words(*within,
                 fits(*within, tensors) ? ", kept in the file" : ", kept in the file, but of other tensors");
  }
  const auto beside = model_file_of_run(file);
  if (beside) {
    const Model model = load_model(*beside);
    if (fits(model, tensors)) return words(model, ", as the model.json beside it says");
  }
  const auto builtin = fitting_builtin(tensors);
  if (!builtin) return "";
  return words(*builtin, fmt::format(" and {} classes, which is built in", class_count(*builtin)).c_str());
}

/// Lines for the groups that have no table of their own: those of one key of the file's dict together.
void add_other_groups(const FileContents& contents, Inspection& inspection) {
  std::map<std::string, std::pair<std::size_t, std::int64_t>> sums;
  for (std::size_t i = 0; i < contents.groups.size(); ++i) {
    if (i == contents.state) continue;
    const TensorGroup& group = contents.groups[i];
    auto& [tensors, elements] = sums[group.place.substr(0, group.place.find(" -> "))];
    tensors += group.tensors.size();
    elements += elements_of(group);
  }
  for (const auto& [place, sum] : sums) {
    inspection.lines.emplace_back(place.empty() ? "beside" : place,
                                  fmt::format("{} tensors of {} elements", sum.first, sum.second));
  }
}

}  // namespace

Inspection inspect_tensors(const fs::path& file) {
  const FileContents contents = contents_of(file);
  Inspection inspection{.kind = contents.kind};
  Json& facts = inspection.facts;
  facts["bytes"] = fs::file_size(file);
  const Shared shared = shared_storages(contents);
  const bool has_state = contents.state < contents.groups.size();
  if (has_state) {
    const TensorGroup& state = contents.groups[contents.state];
    if (!state.place.empty()) facts["state_dict"] = state.place;
    facts["tensors"] = state.tensors.size();
    facts["parameters"] = parameters_of(state);
    if (const std::string model = model_of(file, state.tensors); !model.empty()) facts["model"] = model;
    inspection.table = table_of(state, shared);
    add_other_groups(contents, inspection);
  } else {
    for (const TensorGroup& group : contents.groups) {
      inspection.table +=
          fmt::format("{}{}\n{}", inspection.table.empty() ? "" : "\n", group.place, table_of(group, shared));
    }
    facts["state_dict"] = contents.groups.empty() ? "none" : "none, or several";
  }
  Json values = Json::object();
  for (const auto& [place, words] : contents.values) {
    inspection.lines.emplace_back(place, words);
    values[place] = words;
  }
  if (contents.left_out > 0) {
    inspection.lines.emplace_back("...", fmt::format("{} more values", contents.left_out));
  }
  for (const auto& [key, text] : contents.metadata) {
    inspection.lines.emplace_back("metadata " + printable(key), quote(text));
  }
  Json tensors = Json::array();
  for (const TensorGroup& group : contents.groups) {
    for (const StoredTensor& tensor : group.tensors) {
      tensors.push_back(json_of(group, tensor, shared));
      if (!tensor.problem.empty() && !tensor.type.empty() && inspection.failure.empty()) {
        inspection.failure = fmt::format("tensor {}: {}", quote(tensor.name), tensor.problem);
      }
    }
  }
  inspection.details["values"] = std::move(values);
  inspection.details["metadata"] = contents.metadata;
  inspection.details["contents"] = std::move(tensors);
  return inspection;
}

}  // namespace convoy
