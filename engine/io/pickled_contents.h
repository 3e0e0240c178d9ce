// What the pickle of a checkpoint holds.
#pragma once

#include <string_view>

#include "engine/io/contents.h"
#include "engine/io/state_pickle.h"
#include "engine/io/tensor_record.h"

namespace convoy {

/// The summary of a tensor's elements.
ElementSummary summarize(const HostTensor& tensor);

/// The word for a type: "bfloat16".
const char* name_of(ElementType type);

/// All tensors and values, as far as 8 levels down, and each dict once, however often it is there. Arguments
/// as of state_from_pickle. Throws Error for a malformed pickle; a tensor that cannot be read has a problem.
FileContents contents_of_pickle(std::string_view pickle, const StorageReader& read_storage,
                                std::uint64_t max_elements);

}  // namespace convoy
