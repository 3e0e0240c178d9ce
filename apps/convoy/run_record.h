// run.json as later commands read it. apps/README.md describes the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "convoy/preparation.h"
#include "engine/model/json_text.h"

namespace convoy {

/// What a run.json tells of the data.
struct RunRecord {
  std::string dataset;  // empty if it names none
  std::string folder;   // that it was loaded from, absolute but in an older Convoy's; likewise
  double split = 0.0;   // share of the data that was held out for the test; 0: none
  std::uint64_t split_seed = 1;
  std::optional<std::uint32_t> held_out_crc32;  // of the images that the split held out
  std::optional<std::uint32_t> data_crc32;      // of the images that it was trained on
  std::int64_t train_samples = 0;               // how many these are
  std::optional<Preparation> preparation;
};

/// The object that `text` is; null if it is malformed, or not an object.
Json record_of_text(const std::string& text);

/// The object in a run.json; null as above, and where there is no such file. Throws Error if there is one
/// that cannot be read or is larger than 1 MiB.
Json record_in(const std::filesystem::path& file);

/// What `record` tells. Throws UsageError that begins with `where` if its preparation is malformed.
RunRecord run_record_of(const Json& record, const std::string& where);

}  // namespace convoy
