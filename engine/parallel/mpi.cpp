// Loads libconvoy_mpi.so. Open MPI's plugins find what they need of it only where its symbols are global.
#include "engine/parallel/mpi.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "engine/parallel/mpi_module.h"

namespace convoy {

namespace {

constexpr const char* kFile = "libconvoy_mpi.so";

void* load_module() { return dlopen(kFile, RTLD_NOW | RTLD_GLOBAL); }

}  // namespace

std::string mpi_missing() { return load_module() != nullptr ? "" : dlerror(); }

std::unique_ptr<Communicator> join_mpi(const GroupPlace& place) {
  void* const module = load_module();
  if (module == nullptr) {
    throw Error(
        fmt::format("started by mpirun, but MPI is not in this build or not on this machine ({}): install "
                    "libopenmpi-dev and configure again, or start the processes with torchrun (for GPUs)",
                    dlerror()));
  }
  const auto join = reinterpret_cast<decltype(&convoy_join_mpi)>(dlsym(module, "convoy_join_mpi"));
  if (join == nullptr)
    throw Error(fmt::format("{} is of another version of Convoy: install both again", kFile));
  return std::unique_ptr<Communicator>(join(place));
}

}  // namespace convoy
