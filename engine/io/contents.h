// Everything that a file of tensors holds, to be told to a person: also what no model needs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "convoy/safetensors.h"
#include "convoy/shape.h"

namespace convoy {

/// What the elements of a tensor are like. Minimum, maximum and mean are of the finite ones.
struct ElementSummary {
  double min = 0.0;
  double max = 0.0;
  double mean = 0.0;
  std::int64_t finite = 0;
  std::int64_t nan = 0;
  std::int64_t infinite = 0;
};

enum class Reading {
  read,
  not_read,  // of a type or with values that load_checkpoint refuses, though the file is sound
  damaged,
};

struct StoredTensor {
  std::string name;  // as the file has it: anything may be in it
  Shape shape;
  std::string type;         // "float16", or the file's name of one that is not read; empty if it is not known
  std::size_t storage = 0;  // tensors with the same one share their memory; 0: it has its own
  std::size_t view = 0;     // tensors with the same one are the same elements of it, as tied weights are
  ElementSummary elements;  // of one that is read
  Reading reading = Reading::read;
  std::string problem;  // why it is not read; empty if it is
};

/// A dict that holds tensors.
struct TensorGroup {
  std::string place;  // as PickledState has it: `"optimizer" -> "state" -> 0`; empty for the outermost
  std::vector<StoredTensor> tensors;
};

/// What is in a file, in its order.
struct FileContents {
  std::string kind;  // "a checkpoint of PyTorch"
  std::vector<TensorGroup> groups;
  std::size_t state = 0;  // the group that load_checkpoint reads; groups.size() if there is none
  std::string refusal;    // then why it reads none, and what to do
  std::vector<std::pair<std::string, std::string>> values;  // numbers, texts and others, by their places
  std::size_t left_out = 0;                                 // values that are not listed
  SafetensorsMetadata metadata;
};

/// Whether `file` is of one of the formats that contents_of reads, as its first bytes say.
bool holds_tensors(const std::filesystem::path& file);

/// Reads all tensors of a checkpoint, a training's state or a safetensors file, one at a time, and keeps what
/// they are like. Throws Error as load_checkpoint, but not for a single tensor, which then has a problem.
FileContents contents_of(const std::filesystem::path& file);

}  // namespace convoy
