// What the pickle of a checkpoint holds.
#pragma once

#include <functional>
#include <string_view>

#include "engine/io/contents.h"
#include "engine/io/state_pickle.h"
#include "engine/io/tensor_record.h"

namespace convoy {

/// Summarizes the elements of what `read` returns, or notes in the tensor why it throws.
void summarize_into(StoredTensor& tensor, const std::function<HostTensor()>& read);

/// The word for a type: "bfloat16".
const char* name_of(ElementType type);

/// All tensors and values, as far as 8 levels down, and each dict once, however often it is there. The kind
/// is that of a training if it is one, else empty. Arguments as of state_from_pickle. Throws Error for a
/// malformed pickle; a tensor that cannot be read has a problem.
FileContents contents_of_pickle(std::string_view pickle, const StorageReader& read_storage,
                                std::uint64_t max_elements);

}  // namespace convoy
