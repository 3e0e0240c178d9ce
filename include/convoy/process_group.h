/// @file
/// The processes that train one model together, each on its share of every batch: data-parallel training.
#pragma once

#include <memory>

namespace convoy {

/// Connects the processes of a group. Made by join_group and passed on in DeviceOptions::group.
class Communicator;

/// Joins the processes that were started together, and returns when all of them have. They are found
///  - through MPI, if `mpirun` or Slurm's `srun --mpi=pmix` started this process and the build has MPI;
///  - else by the variables RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, as `torchrun` sets
///    them, or by Slurm's own with MASTER_ADDR and MASTER_PORT. NCCL connects such a group, so it can only
///    train on GPUs.
/// Without any of these the group is this process alone. Throws UsageError for variables that are set by
/// halves or contradict each other, Error if MPI does not start.
std::shared_ptr<Communicator> join_group();

/// This process's number in the group, from 0. Only rank 0 should print and write.
int rank_of(const Communicator& group);

/// How many processes there are in the group; 1 if this one is alone.
int size_of(const Communicator& group);

/// To be called at the end, by all processes. One that ends without it ends the others, too.
void leave_group(Communicator& group);

}  // namespace convoy
