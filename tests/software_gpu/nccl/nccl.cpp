// Stands in for libnccl.so.2: collectives over shared memory between processes, each with its software GPU.
// The sum is made in the order of ranks. Ranks that do not make the same call are found, where NCCL would
// hang.
#include <nccl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "tests/software_gpu/gpu.h"
#include "tests/software_gpu/nccl/meeting.h"

using namespace software_gpu;

struct ncclComm {
  std::shared_ptr<Meeting> meeting;
};

namespace {

enum Call : std::uint64_t { kAllReduce = 1, kBroadcast, kAllGather };

std::size_t bytes_of(ncclDataType_t type) {
  switch (type) {
    case ncclFloat32:
      return sizeof(float);
    case ncclFloat64:
      return sizeof(double);
    case ncclUint8:
      return 1;
    default:
      die("NCCL: this type is not simulated");
  }
}

/// Runs `part(begin, length)` for each piece of so many bytes that fits into a slot, all ranks together.
template <typename Part>
void in_parts(Meeting& meeting, const Claim& claim, std::size_t bytes, Part part) {
  meeting.claim(meeting.rank()) = claim;
  if (!meeting.wait()) return;
  for (int rank = 0; rank < meeting.ranks(); ++rank) {
    if (meeting.claim(rank) != claim) die("NCCL: the ranks do not make the same call, and would hang");
  }
  for (std::size_t begin = 0; begin < bytes; begin += Meeting::kSlot) {
    if (!part(begin, std::min(Meeting::kSlot, bytes - begin))) return;
  }
  meeting.wait();  // the claims have been read
}

template <typename T>
void add(Meeting& meeting, std::byte* out, std::size_t length) {
  auto* const sums = reinterpret_cast<T*>(out);
  for (std::size_t i = 0; i < length / sizeof(T); ++i) {
    T sum = 0;
    for (int rank = 0; rank < meeting.ranks(); ++rank)
      sum += reinterpret_cast<const T*>(meeting.slot(rank))[i];
    sums[i] = sum;
  }
}

void all_reduce(Meeting& meeting, const Claim& claim, const std::byte* from, std::byte* to,
                ncclDataType_t type) {
  in_parts(meeting, claim, claim.count * bytes_of(type), [&](std::size_t begin, std::size_t length) {
    std::memcpy(meeting.slot(meeting.rank()), from + begin, length);
    if (!meeting.wait()) return false;
    type == ncclFloat32 ? add<float>(meeting, to + begin, length) : add<double>(meeting, to + begin, length);
    return meeting.wait();
  });
}

void broadcast(Meeting& meeting, const Claim& claim, const std::byte* from, std::byte* to, int root) {
  in_parts(meeting, claim, claim.count, [&](std::size_t begin, std::size_t length) {
    if (meeting.rank() == root) std::memcpy(meeting.slot(root), from + begin, length);
    if (!meeting.wait()) return false;
    std::memcpy(to + begin, meeting.slot(root), length);
    return meeting.wait();
  });
}

void all_gather(Meeting& meeting, const Claim& claim, const std::byte* from, std::byte* to) {
  in_parts(meeting, claim, claim.count, [&](std::size_t begin, std::size_t length) {
    std::memcpy(meeting.slot(meeting.rank()), from + begin, length);
    if (!meeting.wait()) return false;
    for (int rank = 0; rank < meeting.ranks(); ++rank) {
      std::memcpy(to + static_cast<std::size_t>(rank) * claim.count + begin, meeting.slot(rank), length);
    }
    return meeting.wait();
  });
}

ncclResult_t enqueue_call(const char* name, cudaStream_t stream, std::vector<Access> accesses,
                          std::function<void()> run) {
  const cudaError_t status = enqueue(stream, {WorkKind::library, name, std::move(accesses), std::move(run)});
  return status == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

const std::byte* bytes(const void* pointer) { return static_cast<const std::byte*>(pointer); }
std::byte* bytes(void* pointer) { return static_cast<std::byte*>(pointer); }

}  // namespace

#define NCCL_CALL()                                         \
  const std::lock_guard call_guard(::software_gpu::lock()); \
  if (const int call_status = begin_call(__func__)) return static_cast<ncclResult_t>(call_status)

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  NCCL_CALL();
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t status) {
  switch (status) {
    case ncclSuccess:
      return "no error";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclSystemError:
      return "unhandled system error";
    default:
      return "another error";
  }
}

const char* ncclGetLastError(ncclComm_t) { return "software GPU"; }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  NCCL_CALL();
  std::string name = "/convoy_software_nccl_";
  if (const char* meeting = std::getenv("NCCL_COMM_ID")) {
    name += std::to_string(std::hash<std::string>()(meeting));
  } else {
    name += std::to_string(std::random_device()()) + "_" + std::to_string(std::random_device()());
  }
  std::memset(id->internal, 0, sizeof id->internal);
  std::memcpy(id->internal, name.data(), name.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  NCCL_CALL();
  if (rank < 0 || rank >= ranks) return ncclInvalidArgument;
  auto meeting = Meeting::join(id.internal, ranks, rank);
  if (!meeting) return ncclSystemError;
  *comm = new ncclComm{std::move(meeting)};
  track("NCCL communicators", *comm);
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const std::lock_guard call_guard(lock());
  const int call_status = begin_call(__func__);
  if (!untrack("NCCL communicators", comm)) return ncclInvalidArgument;
  delete comm;
  return static_cast<ncclResult_t>(call_status);
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const std::lock_guard call_guard(lock());
  const int call_status = begin_call(__func__);
  if (!untrack("NCCL communicators", comm)) return ncclInvalidArgument;
  comm->meeting->fail();
  delete comm;
  return static_cast<ncclResult_t>(call_status);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  NCCL_CALL();
  if (!is_alive("NCCL communicators", comm)) return ncclInvalidArgument;
  *error = comm->meeting->failed() ? ncclRemoteError : ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
  NCCL_CALL();
  if (!is_alive("NCCL communicators", comm) || op != ncclSum || type == ncclUint8) return ncclInvalidArgument;
  const Claim claim{kAllReduce, static_cast<std::uint64_t>(type), count};
  const std::size_t size = count * bytes_of(type);
  return enqueue_call("ncclAllReduce", stream,
                      {{from, size, "ncclAllReduce input"}, {to, size, "ncclAllReduce output"}},
                      [meeting = comm->meeting, claim, from, to, type] {
                        all_reduce(*meeting, claim, bytes(from), bytes(to), type);
                      });
}

ncclResult_t ncclBroadcast(const void* from, void* to, std::size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  NCCL_CALL();
  if (!is_alive("NCCL communicators", comm) || type != ncclUint8) return ncclInvalidArgument;
  const Claim claim{kBroadcast, static_cast<std::uint64_t>(root), count};
  return enqueue_call("ncclBroadcast", stream,
                      {{from, count, "ncclBroadcast input"}, {to, count, "ncclBroadcast output"}},
                      [meeting = comm->meeting, claim, from, to, root] {
                        broadcast(*meeting, claim, bytes(from), bytes(to), root);
                      });
}

ncclResult_t ncclAllGather(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  NCCL_CALL();
  if (!is_alive("NCCL communicators", comm) || type != ncclUint8) return ncclInvalidArgument;
  const Claim claim{kAllGather, static_cast<std::uint64_t>(type), count};
  const std::size_t all = count * static_cast<std::size_t>(comm->meeting->ranks());
  return enqueue_call(
      "ncclAllGather", stream, {{from, count, "ncclAllGather input"}, {to, all, "ncclAllGather output"}},
      [meeting = comm->meeting, claim, from, to] { all_gather(*meeting, claim, bytes(from), bytes(to)); });
}

}  // extern "C"
