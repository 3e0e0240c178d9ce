// The group of an MPI program.
#pragma once

#include <memory>

#include "engine/parallel/communicator.h"

namespace convoy {

/// MPI's version if this build has it, else empty.
const char* mpi_version();

/// Starts MPI, unless the program has done so itself. `place` is what the launcher's variables say. A wait
/// that outlasts its patience is an error that names those who did not come. Throws Error if this build has
/// no MPI, if it does not start, or if it finds fewer processes than the launcher started.
std::unique_ptr<Communicator> join_mpi(const GroupPlace& place);

}  // namespace convoy
