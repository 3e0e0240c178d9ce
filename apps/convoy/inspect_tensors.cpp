#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "apps/convoy/exported_model.h"
#include "apps/convoy/inspection.h"
#include "apps/convoy/model_fit.h"
#include "apps/convoy/printable.h"
#include "apps/convoy/run_folder.h"
#include "convoy/error.h"
#include "convoy/model_file.h"
#include "engine/io/quote.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostText = 80;      // bytes of a name, or of an entry of metadata
constexpr std::size_t kMostLines = 200;    // of metadata
constexpr std::size_t kMostProblems = 10;  // that are told below a table; --json has them all

/// A name as it is, if it can stand in a table.
std::string in_table(const std::string& name) {
  const bool plain = std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f; });
  return plain && !name.empty() && name.size() <= kMostText ? name : quote(name);
}

/// Text that may be long, such as a model's file.
std::string in_line(const std::string& text) {
  return printable(text.substr(0, kMostText)) + (text.size() > kMostText ? "..." : "");
}

const char* in_words(Reading reading) {
  switch (reading) {
    case Reading::read:
      return "read";
    case Reading::not_read:
      return "not read";
    case Reading::damaged:
      break;
  }
  return "damaged";
}

/// The first tensor of each storage that several share.
struct User {
  std::string place;  // of its group, which is printable
  std::string name;
};
using Shared = std::map<std::size_t, User>;

Shared shared_storages(const FileContents& contents) {
  std::map<std::size_t, std::size_t> users;
  Shared shared;
  for (const TensorGroup& group : contents.groups) {
    for (const StoredTensor& tensor : group.tensors) {
      if (tensor.storage == 0) continue;
      shared.try_emplace(tensor.storage, User{group.place, tensor.name});
      ++users[tensor.storage];
    }
  }
  std::erase_if(shared, [&](const auto& entry) { return users[entry.first] == 1; });
  return shared;
}

/// `name`, or `place -> name`, the name as `spell` has it; empty for a storage of one tensor.
template <typename Spell>
std::string shared_with(const StoredTensor& tensor, const Shared& shared, Spell spell) {
  const auto first = shared.find(tensor.storage);
  if (first == shared.end()) return "";
  const auto& [place, name] = first->second;
  return place.empty() ? spell(name) : place + " -> " + spell(name);
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
               {"storage_of", shared_with(tensor, shared, [](const std::string& name) { return name; })},
               {"reading", in_words(tensor.reading)}};
  if (!tensor.problem.empty()) json["problem"] = tensor.problem;
  return json;
}

/// A table of the group's tensors, and below it why those are not read that are not.
std::string table_of(const TensorGroup& group, const Shared& shared) {
  Table table({"tensor", "shape", "type", "min", "max", "mean", "NaN", "inf", "storage of"});
  for (const std::size_t column : {1U, 2U, 8U}) table.left(column);
  std::string problems;
  std::size_t untold = 0, told = 0;
  for (const StoredTensor& tensor : group.tensors) {
    const ElementSummary& elements = tensor.elements;
    const bool is_read = tensor.reading == Reading::read;
    const auto number = [&](double value) {
      return elements.finite > 0 ? fmt::format("{:.4g}", value) : "-";
    };
    const auto count = [&](std::int64_t value) { return is_read ? std::to_string(value) : "-"; };
    const std::string type = tensor.type.empty() ? "?" : in_table(tensor.type);
    table.add({in_table(tensor.name), tensor.type.empty() ? "?" : tensor.shape.str(),
               is_read ? type : fmt::format("{} ({})", type, in_words(tensor.reading)), number(elements.min),
               number(elements.max), number(elements.mean), count(elements.nan), count(elements.infinite),
               shared_with(tensor, shared, in_table)});
    if (is_read) continue;
    if (told == kMostProblems) {
      ++untold;
    } else {
      ++told;
      problems +=
          fmt::format("{}: {}: {}\n", in_table(tensor.name), in_words(tensor.reading), tensor.problem);
    }
  }
  if (untold > 0) problems += fmt::format("... and {} more (--json tells all)\n", untold);
  return problems.empty() ? table.str() : table.str() + "\n" + problems;
}

/// How many elements the tensors have of which the shape is known, those of tied weights once.
std::int64_t elements_of(const std::vector<StoredTensor>& tensors) {
  std::int64_t count = 0;
  std::set<std::size_t> views;
  for (const StoredTensor& tensor : tensors) {
    const bool is_known = !tensor.type.empty();
    const bool is_new = tensor.view == 0 || views.insert(tensor.view).second;
    if (is_known && is_new && __builtin_add_overflow(count, tensor.shape.count(), &count)) {
      return std::numeric_limits<std::int64_t>::max();
    }
  }
  return count;
}

/// The elements of a state dict that are trained: all but the running statistics.
std::int64_t parameters_of(std::vector<StoredTensor> tensors) {
  std::erase_if(tensors, [](const StoredTensor& tensor) {
    return std::ranges::any_of(
        std::to_array<std::string_view>({"running_mean", "running_var", "num_batches_tracked"}),
        [&](std::string_view role) { return tensor.name.ends_with(role); });
  });
  return elements_of(tensors);
}

/// What `read` returns; nothing, and a line that says why, if it throws.
template <typename Read>
std::optional<Model> read_or_say(Read read, const char* what, Inspection& inspection) {
  try {
    return read();
  } catch (const std::exception& error) {
    inspection.lines.emplace_back(what, fmt::format("cannot be read: {}", error.what()));
    inspection.details["problems"].push_back(error.what());
    return std::nullopt;
  }
}

/// What is known of the model that the state is of, in words; empty if nothing is.
std::string model_of(const fs::path& file, const std::vector<StoredTensor>& tensors, Inspection& inspection) {
  const auto words = [](const Model& model, const char* from) {
    return fmt::format("{} for images {}{}", model.name, model.input.str(), from);
  };
  if (const auto within = read_or_say([&] { return model_in_checkpoint(file); }, "model in it", inspection)) {
    return words(*within,
                 fits(*within, tensors) ? ", kept in the file" : ", kept in the file, but of other tensors");
  }
  const auto beside = model_file_of_run(file);
  if (beside) {
    const auto model =
        read_or_say([&] { return std::optional(load_model(*beside)); }, "model.json beside it", inspection);
    if (model && fits(*model, tensors)) return words(*model, ", as the model.json beside it says");
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
    elements += elements_of(group.tensors);
  }
  for (const auto& [place, sum] : sums) {
    inspection.lines.emplace_back(place.empty() ? "beside" : place,
                                  fmt::format("{} tensors of {} elements", sum.first, sum.second));
  }
}

void add_metadata(const SafetensorsMetadata& metadata, Inspection& inspection) {
  std::size_t told = 0;
  for (const auto& [key, text] : metadata) {
    if (++told > kMostLines) break;
    inspection.lines.emplace_back("metadata " + in_table(key), in_line(text));
  }
  if (metadata.size() > kMostLines) {
    inspection.lines.emplace_back("...",
                                  fmt::format("{} more entries of metadata", metadata.size() - kMostLines));
  }
}

}  // namespace

Inspection inspect_contents(const FileContents& contents, const fs::path& file) {
  Inspection inspection{.kind = contents.kind};
  Json& facts = inspection.facts;
  facts["bytes"] = fs::file_size(file);
  const Shared shared = shared_storages(contents);
  const bool has_state = contents.state < contents.groups.size();
  if (has_state) {
    const TensorGroup& state = contents.groups[contents.state];
    if (!state.place.empty()) facts["state_dict"] = state.place;
    facts["tensors"] = state.tensors.size();
    facts["parameters"] = parameters_of(state.tensors);
    inspection.table = table_of(state, shared);
    add_other_groups(contents, inspection);
  } else {
    for (const TensorGroup& group : contents.groups) {
      inspection.table +=
          fmt::format("{}{}\n{}", inspection.table.empty() ? "" : "\n", group.place, table_of(group, shared));
    }
    facts["state_dict"] = contents.refusal.empty() ? "none" : contents.refusal;
  }
  Json values = Json::object();
  for (const auto& [place, words] : contents.values) {
    inspection.lines.emplace_back(place, words);
    values[place] = words;
  }
  if (contents.left_out > 0) {
    inspection.lines.emplace_back("...", fmt::format("{} more values", contents.left_out));
  }
  add_metadata(contents.metadata, inspection);
  Json tensors = Json::array();
  for (const TensorGroup& group : contents.groups) {
    for (const StoredTensor& tensor : group.tensors) {
      tensors.push_back(json_of(group, tensor, shared));
      if (tensor.reading == Reading::damaged && inspection.failure.empty()) {
        inspection.failure = fmt::format("tensor {}: {}", quote(tensor.name), tensor.problem);
      }
    }
  }
  inspection.details["values"] = std::move(values);
  inspection.details["metadata"] = contents.metadata;
  inspection.details["contents"] = std::move(tensors);
  return inspection;
}

Inspection inspect_tensors(const fs::path& file) {
  const FileContents contents = contents_of(file);
  Inspection inspection = inspect_contents(contents, file);
  if (contents.state < contents.groups.size()) {
    const std::string model = model_of(file, contents.groups[contents.state].tensors, inspection);
    if (!model.empty()) inspection.facts["model"] = model;
  }
  return inspection;
}

}  // namespace convoy
