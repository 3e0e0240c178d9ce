// Stands in for mpi.cpp where no MPI was found.
#include <fmt/format.h>

#include "engine/parallel/mpi.h"

namespace convoy {

const char* mpi_version() { return ""; }

std::unique_ptr<Communicator> join_mpi(const GroupPlace& place) {
  throw Error(
      fmt::format("mpirun started {} processes, but there is no MPI in this build: install "
                  "libopenmpi-dev and configure again, or start them with torchrun (for GPUs)",
                  place.size));
}

}  // namespace convoy
