// One HTTP transfer into a part file.
#pragma once

#include <string>

#include "engine/data/fetch.h"
#include "engine/data/file.h"

namespace convoy {

/// What came of one attempt.
struct Attempt {
  std::string problem;       // empty: the part now holds all that the mirror offers
  bool unreachable = false;  // the host itself did not answer, or stopped answering
};

/// Gets `url` into `part`, from the part's end on if it is not empty. The part is cleared, never corrupted,
/// by a server that ignores the range, answers with another one, or sends more than `file.bytes`. Throws
/// Error for a local failure (the disk), and passes on what options.progress throws.
Attempt download(const std::string& url, const RemoteFile& file, PartFile& part, const FetchOptions& options);

}  // namespace convoy
