// What convoy inspect says of a file.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "apps/convoy/terminal.h"
#include "engine/io/contents.h"

namespace convoy {

struct Inspection {
  std::string kind;             // "an IDX file"
  Json facts = Json::object();  // one line each, and members of the event of --json
  std::vector<std::pair<std::string, std::string>> lines;  // more lines, of the text alone
  std::string table;                                       // below them
  Json details = Json::object();                           // more members, of the event alone
  std::string failure;                                     // what of the file cannot be read; empty: nothing
};

/// What there is to say of contents alone: the model that they fit is left to the caller.
Inspection inspect_contents(const FileContents& contents, const std::filesystem::path& file);

/// An ONNX file, and whether `import` reads it. Throws Error if it is none.
Inspection inspect_onnx(const std::filesystem::path& file);

/// A checkpoint, a training's state or a safetensors file. Throws Error if it cannot be read.
Inspection inspect_tensors(const std::filesystem::path& file);

/// An IDX file, plain or compressed. Throws Error if it is damaged.
Inspection inspect_idx(const std::filesystem::path& file);

/// NumPy's arrays: those of a .npz archive, or the one of a .npy file. Throws Error if it is damaged; an
/// array of an archive that is not read is told as such.
Inspection inspect_arrays(const std::filesystem::path& file, bool is_archive);

/// A table, plain or compressed. Throws Error that names the line if it is malformed.
Inspection inspect_table(const std::filesystem::path& file);

/// TensorBoard's events, of which only the number is told.
Inspection inspect_events(const std::filesystem::path& file);

/// A model's file, or the record of a run. Throws Error for other JSON.
Inspection inspect_json(const std::filesystem::path& file);

/// The flags of a training. Throws UsageError that names the line if it is malformed.
Inspection inspect_config(const std::filesystem::path& file);

/// The folder of a run. Throws Error for other folders.
Inspection inspect_run(const std::filesystem::path& folder);

}  // namespace convoy
