// One HTTP download into a part file.
#pragma once

#include <string>

#include "convoy/fetch.h"
#include "engine/data/part_file.h"

namespace convoy {

/// The result of one attempt.
struct Attempt {
  std::string problem;       // empty if the part now holds the whole file of the mirror
  bool unreachable = false;  // the host itself did not answer, or stopped answering
};

/// Downloads `url` into `part`. A part that is not empty is continued at its end. It is cleared if the server
/// ignores the range, answers with another one, or sends more than `file.bytes`, because the bytes would be
/// wrong. Throws Error if the disk fails, and whatever options.progress throws.
Attempt download(const std::string& url, const RemoteFile& file, PartFile& part, const FetchOptions& options);

}  // namespace convoy
