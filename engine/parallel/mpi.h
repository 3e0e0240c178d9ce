// The group of an MPI program.
#pragma once

#include <memory>
#include <string>

#include "engine/parallel/communicator.h"

namespace convoy {

/// Empty if MPI is in this build and on this machine, else why not.
std::string mpi_missing();

/// What convoy_join_mpi (mpi_module.h) makes. Throws what it throws, and Error if this build has no MPI or
/// MPI cannot be loaded.
std::unique_ptr<Communicator> join_mpi(const GroupPlace& place);

}  // namespace convoy
