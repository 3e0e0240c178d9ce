#include "apps/convoy/run_record.h"

#include <fmt/format.h>

#include "convoy/error.h"
#include "engine/core/file.h"
#include "engine/model/preparation_json.h"

namespace convoy {
namespace {

// Convoy writes some kilobytes.
constexpr std::int64_t kMostBytes = 1 << 20;
constexpr std::size_t kMostKeys = 256;

}  // namespace

Json record_of_text(const std::string& text) {
  try {
    Json record = parse_json(text, "run.json", kMostKeys);
    return record.is_object() ? record : Json();
  } catch (const UsageError&) {
    return {};
  }
}

Json record_in(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return {};
  InputFile input(file);
  if (input.bytes() > kMostBytes) {
    throw Error(fmt::format("{}: is larger than {} bytes, so it is no run.json", file.string(), kMostBytes));
  }
  return record_of_text(input.read_text(kMostBytes));
}

RunRecord run_record_of(const Json& record, const std::string& where) {
  if (!record.is_object() || !record.contains("dataset") || !record["dataset"].is_string()) return {};
  RunRecord result;
  result.dataset = record["dataset"].get<std::string>();
  if (record.contains("data") && record["data"].is_string()) result.folder = record["data"];
  // Only as the user typed it, where the configuration has it for any working folder.
  const Json config = record.value("config", Json());
  if (config.is_object() && config.contains("data") && config["data"].is_string())
    result.folder = config["data"];
  if (record.contains("split") && record["split"].is_number()) result.split = record["split"].get<double>();
  if (record.contains("split_seed") && record["split_seed"].is_number_unsigned()) {
    result.split_seed = record["split_seed"].get<std::uint64_t>();
  }
  const auto crc32 = [&](const char* key) {
    const bool known = record.contains(key) && record[key].is_number_unsigned();
    return known ? std::optional(record[key].get<std::uint32_t>()) : std::nullopt;
  };
  result.held_out_crc32 = crc32("held_out_crc32");
  result.data_crc32 = crc32("data_crc32");
  if (record.contains("train_samples") && record["train_samples"].is_number_unsigned())
    result.train_samples = record["train_samples"].get<std::int64_t>();
  if (record.contains("preparation")) {
    result.preparation = preparation_of_json(record["preparation"], where + ": 'preparation'");
  }
  return result;
}

}  // namespace convoy
