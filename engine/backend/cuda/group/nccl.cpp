// NCCL, loaded when a group is joined: a single process needs none.
#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nccl.h>

#include <cstdlib>
#include <exception>

#include "engine/backend/cuda/group/device_group.h"
#include "engine/parallel/absence.h"

namespace convoy::cuda {
namespace {

constexpr const char* kLibrary = "libnccl.so.2";

/// The functions that are used, by their names in the library.
struct Nccl {
#define CONVOY_NCCL_FUNCTION(name) decltype(&::name) name = load<decltype(&::name)>(#name)
  CONVOY_NCCL_FUNCTION(ncclGetVersion);
  CONVOY_NCCL_FUNCTION(ncclGetUniqueId);
  CONVOY_NCCL_FUNCTION(ncclCommInitRank);
  CONVOY_NCCL_FUNCTION(ncclCommDestroy);
  CONVOY_NCCL_FUNCTION(ncclCommAbort);
  CONVOY_NCCL_FUNCTION(ncclCommGetAsyncError);
  CONVOY_NCCL_FUNCTION(ncclGetErrorString);
  CONVOY_NCCL_FUNCTION(ncclGetLastError);
  CONVOY_NCCL_FUNCTION(ncclAllReduce);
  CONVOY_NCCL_FUNCTION(ncclBroadcast);
  CONVOY_NCCL_FUNCTION(ncclAllGather);
#undef CONVOY_NCCL_FUNCTION

 private:
  template <typename Function>
  static Function load(const char* name) {
    static void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      throw Error(
          fmt::format("several processes on GPUs need NCCL ({}): install libnccl2 (or pip install "
                      "nvidia-nccl-cu13), or name its folder in CONVOY_CUDA_LIBS",
                      dlerror()));
    }
    void* const symbol = dlsym(library, name);
    if (symbol == nullptr) throw Error(fmt::format("{} is too old: it has no {}", kLibrary, name));
    return reinterpret_cast<Function>(symbol);
  }
};

class NcclGroup final : public DeviceGroup {
 public:
  explicit NcclGroup(Communicator& group) : group_(group), unwinding_(std::uncaught_exceptions()) {
    const ncclUniqueId id = meet();
    check_call(nccl_.ncclCommInitRank(&connected_, group.size(), id, group.rank()), "ncclCommInitRank");
  }

  // To take leave properly would wait for processes that may be gone.
  ~NcclGroup() override {
    if (connected_ == nullptr) return;
    if (std::uncaught_exceptions() > unwinding_) {
      nccl_.ncclCommAbort(connected_);
    } else {
      nccl_.ncclCommDestroy(connected_);
    }
  }

  std::string description() const override {
    int version = 0;
    if (nccl_.ncclGetVersion(&version) != ncclSuccess) return "NCCL";
    return fmt::format("NCCL {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
  }

  void sum(float* values, std::int64_t count, cudaStream_t stream) override {
    sum_of_type(values, count, ncclFloat32, stream);
  }
  void sum(double* values, std::int64_t count, cudaStream_t stream) override {
    sum_of_type(values, count, ncclFloat64, stream);
  }

  void broadcast(void* bytes, std::int64_t count, cudaStream_t stream) override {
    check_call(
        nccl_.ncclBroadcast(bytes, bytes, static_cast<std::size_t>(count), ncclUint8, 0, joined(), stream),
        "ncclBroadcast");
  }

  void gather(const void* bytes, void* all, std::int64_t count, cudaStream_t stream) override {
    check_call(nccl_.ncclAllGather(bytes, all, static_cast<std::size_t>(count), ncclUint8, joined(), stream),
               "ncclAllGather");
  }

  void check(std::chrono::steady_clock::duration waited) override {
    ncclResult_t status = ncclSuccess;
    if (nccl_.ncclCommGetAsyncError(joined(), &status) != ncclSuccess) status = ncclInternalError;
    if (status != ncclSuccess && status != ncclInProgress) {
      fail(fmt::format("NCCL: {} ({}){}", nccl_.ncclGetErrorString(status),
                       nccl_.ncclGetLastError(connected_), who_is_missing()));
    }
    group_.attend();
    if (waited < (answered_ + 1) * group_.place().patience) return;
    const auto silent = group_.silent();
    if (!silent) {
      fail(
          fmt::format("waited {} s for the GPUs of the other processes: see their output, or raise "
                      "CONVOY_GROUP_TIMEOUT (seconds)",
                      group_.place().patience.count()));
    }
    if (!silent->empty()) fail(absence("a sum on the GPU", group_.place(), *silent));
    ++answered_;  // all wait for their GPUs: there is much to do
  }

 private:
  /// What all processes must know to find each other.
  ncclUniqueId meet() {
    ncclUniqueId id{};
    const std::string& meeting = group_.place().meeting;
    if (!meeting.empty()) {
      // NCCL then makes the same id everywhere, and rank 0 listens there (its init.cc). A user's own goes
      // first.
      setenv("NCCL_COMM_ID", meeting.c_str(), /*overwrite=*/0);
      check_call(nccl_.ncclGetUniqueId(&id), "ncclGetUniqueId");
      return id;
    }
    if (group_.leads()) check_call(nccl_.ncclGetUniqueId(&id), "ncclGetUniqueId");
    group_.broadcast(std::as_writable_bytes(std::span(id.internal)));
    return id;
  }

  template <typename T>
  void sum_of_type(T* values, std::int64_t count, ncclDataType_t type, cudaStream_t stream) {
    check_call(
        nccl_.ncclAllReduce(values, values, static_cast<std::size_t>(count), type, ncclSum, joined(), stream),
        "ncclAllReduce");
  }

  ncclComm_t joined() const {
    if (connected_ == nullptr) throw Error("the group of this GPU has failed");
    return connected_;
  }

  void check_call(ncclResult_t status, const char* call) const {
    if (status == ncclSuccess || status == ncclInProgress) return;
    throw Error(fmt::format("{}: {} ({})", call, nccl_.ncclGetErrorString(status),
                            nccl_.ncclGetLastError(connected_)));
  }

  std::string who_is_missing() {
    const auto silent = group_.silent();
    if (!silent || silent->empty()) return ": another process has ended or failed, see its output";
    return fmt::format(": rank{} {} of {} {} ended or failed", silent->size() == 1 ? "" : "s",
                       fmt::join(*silent, ", "), group_.size(), silent->size() == 1 ? "has" : "have");
  }

  /// Lets the device go on: the host would wait for it for ever.
  [[noreturn]] void fail(const std::string& what) {
    nccl_.ncclCommAbort(std::exchange(connected_, nullptr));
    throw Error(what);
  }

  Nccl nccl_;
  Communicator& group_;
  int unwinding_;
  ncclComm_t connected_ = nullptr;
  int answered_ = 0;  // how often all were there when the patience ended
};

}  // namespace

std::unique_ptr<DeviceGroup> join_devices(Communicator& group) { return std::make_unique<NcclGroup>(group); }

}  // namespace convoy::cuda
