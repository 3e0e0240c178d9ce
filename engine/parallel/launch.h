// Who started this process, and as which of how many: read from the variables that launchers set.
#pragma once

#include <functional>

#include "engine/parallel/communicator.h"

namespace convoy {

/// What tells a process of the others.
enum class Launcher {
  none,       // it was started alone
  mpi,        // mpirun with others, or srun with an MPI plugin: MPI itself knows more
  variables,  // torchrun or srun: the place is all there is
};

struct Launch {
  Launcher launcher = Launcher::none;
  GroupPlace place;  // with mpi as the launcher's variables have it, which may be 0 of 1
};

/// The value of an environment variable; null if it is not set.
using Environment = std::function<const char*(const char* name)>;

/// Throws UsageError, naming the variable, if one is missing beside others, is no number, or contradicts
/// another.
Launch launch_of(const Environment& environment);

}  // namespace convoy
