#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "apps/convoy/config_text.h"
#include "apps/convoy/inspection.h"
#include "apps/convoy/run_record.h"
#include "apps/convoy/setup.h"
#include "convoy/error.h"
#include "convoy/model_file.h"
#include "engine/core/file.h"
#include "engine/model/preparation_json.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostJson = 1 << 20;  // as of a model's file and of run.json
constexpr std::size_t kMostKeys = 256;

Inspection inspect_model(const std::string& text, const fs::path& file) {
  const Model model = parse_model(text, file.string());
  Inspection inspection{.kind = "a model"};
  Json& facts = inspection.facts;
  facts["name"] = model.name;
  facts["input"] = model.input.str();
  facts["layers"] = model.layers.size();
  facts["parameters"] = trainable_count(model);
  if (model.preparation) facts["preparation"] = json_of_preparation(*model.preparation);
  inspection.table = summary(model, 1);
  return inspection;
}

/// Members that hold no others are facts; those of `results` are, too.
Inspection inspect_record(const Json& record) {
  Inspection inspection{.kind = "the record of a training"};
  for (const auto& member : record.items()) {
    if (!member.value().is_structured() && member.key() != "event")
      inspection.facts[member.key()] = member.value();
  }
  if (record.contains("results")) inspection.facts["results"] = record["results"];
  inspection.details["record"] = record;
  return inspection;
}

/// The files of a folder, as far as it can be read.
void add_files(const fs::path& folder, Inspection& inspection) {
  std::vector<std::string> files;
  std::error_code failure, unknown;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, failure);
  while (!failure && entry != fs::recursive_directory_iterator()) {
    if (entry->is_regular_file(unknown)) files.push_back(entry->path().lexically_relative(folder).string());
    entry.increment(failure);
  }
  std::ranges::sort(files);
  inspection.facts["files"] = fmt::format("{}", fmt::join(files, ", "));
  if (failure) inspection.failure = fmt::format("not all of its files can be listed: {}", failure.message());
}

}  // namespace

Inspection inspect_json(const fs::path& file) {
  InputFile input(file);
  const std::string text = input.read_text(kMostJson);
  if (input.bytes() > kMostJson) {
    throw Error(
        fmt::format("{}: it is JSON of more than {} bytes, neither a model nor the record of a training",
                    file.string(), kMostJson));
  }
  const Json json = parse_json(text, file.string(), kMostKeys);
  if (json.contains("layers")) return inspect_model(text, file);
  if (json.contains("dataset") && json.contains("model")) return inspect_record(json);
  throw Error(fmt::format("{}: it is JSON, but neither a model nor the record of a training", file.string()));
}

Inspection inspect_config(const fs::path& file) {
  Inspection inspection{.kind = "the flags of a training"};
  for (const ConfigEntry& entry : read_config(file)) {
    const std::string key = entry.table.empty() ? entry.key : entry.table + "." + entry.key;
    inspection.facts[key] = fmt::format("{}", fmt::join(entry.values, ", "));
  }
  return inspection;
}

Inspection inspect_run(const fs::path& folder) {
  std::error_code unknown;
  if (!fs::exists(folder / "run.json", unknown)) {
    throw Error(
        fmt::format("{}: it is a folder, but not that of a run, which has a run.json", folder.string()));
  }
  const Json record = record_in(folder / "run.json");
  if (record.is_null())
    throw Error(fmt::format("{}: not a run.json of Convoy's", (folder / "run.json").string()));
  Inspection inspection = inspect_record(record);
  inspection.kind = "the folder of a training";
  add_files(folder, inspection);
  return inspection;
}

}  // namespace convoy
