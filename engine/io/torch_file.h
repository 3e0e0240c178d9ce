// The files of torch.save, whichever format they have: a pickle, and the storages that it refers to.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/core/file.h"
#include "engine/io/state_pickle.h"

namespace convoy {

/// The most bytes of a file's beginning that tell its format.
inline constexpr std::int64_t kLongestMagic = 40;

enum class TorchFormat {
  zip,     // of PyTorch 1.6 and newer
  legacy,  // of before
  none,
};

/// The format of a file that begins with these bytes.
TorchFormat torch_format(std::string_view start);

/// What a file that begins with these bytes is in place of a checkpoint, and what to do about it: "it is a
/// web page, ...". Empty if that is not known.
std::string other_than_torch(std::string_view start);

/// Calls `read` once with the file's pickle, a reader of its storages, and the most elements that all tensors
/// together may have. What it is given is valid during the call alone. Throws Error for files of other kinds,
/// with what to do about them, and for damaged ones.
void read_torch_file(InputFile& file,
                     const std::function<void(std::string_view pickle, const StorageReader& read_storage,
                                              std::uint64_t max_elements)>& read);

}  // namespace convoy
