// A subcommand in several processes, as mpirun, torchrun or Slurm start them.
#pragma once

#include <functional>
#include <memory>

#include "engine/parallel/communicator.h"

namespace convoy {

using GroupWork = std::function<int(const std::shared_ptr<Communicator>& group)>;

/// Joins the group and returns what `work` returns. Of several processes only rank 0 is heard, but for
/// errors. Where one of them fails it ends all, by itself or through its launcher; what all know of
/// (Interrupted, CommonError) each ends for itself, and rank 0 tells it.
int run_in_group(const GroupWork& work);

/// The signal to end with where any_interrupted said so: this process's, or SIGTERM, if it reached another.
int signal_of_group();

/// Whether a signal that would end the program has reached any of the processes, which must all ask.
bool any_interrupted(Communicator& group);

}  // namespace convoy
