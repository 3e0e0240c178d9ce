// MPI as a module, libconvoy_mpi.so: it alone is linked with MPI. It is loaded when a launcher of MPI has
// started this process, so that one program runs on machines with and without MPI.
#pragma once

#include "engine/parallel/communicator.h"

/// Starts MPI, unless the program has done so itself; the only symbol that the module exports. `place` is
/// what the launcher's variables say. A wait that outlasts its patience is an error that names those who did
/// not come. Throws Error if MPI does not start, or if it finds fewer processes than the launcher started.
/// The caller owns the result.
extern "C" convoy::Communicator* convoy_join_mpi(const convoy::GroupPlace& place);
