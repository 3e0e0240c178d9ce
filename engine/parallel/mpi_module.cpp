#include "engine/parallel/mpi_module.h"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "engine/parallel/absence.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRollCall = 1;  // the tag of "who is there?"
constexpr int kPresent = 2;   // and of the answer
constexpr auto kAnswerTime = std::chrono::seconds(5);
constexpr auto kBetweenRollCalls = std::chrono::milliseconds(100);
constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;  // MPI counts in int

std::string in_words(int status) {
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(status, text.data(), &length) != MPI_SUCCESS) return fmt::format("status {}", status);
  return {text.data(), static_cast<std::size_t>(length)};
}

void check(int status, const char* call) {
  if (status != MPI_SUCCESS) throw Error(fmt::format("{}: {}", call, in_words(status)));
}

#define CONVOY_MPI(call) check((call), #call)

// "Open MPI v4.1.4, package: ..." up to the comma.
std::string mpi_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  if (MPI_Get_library_version(text.data(), &length) != MPI_SUCCESS) return "MPI";
  const std::string all(text.data(), static_cast<std::size_t>(length));
  return all.substr(0, all.find_first_of(",\n"));
}

/// Starts collectives without blocking and waits for them with an eye on the clock: MPI itself would wait for
/// a dead process for ever.
class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(const GroupPlace& place, MPI_Comm connected, bool ours)
      : Communicator(place), connected_(connected), ours_(ours) {}

  ~MpiCommunicator() override {
    if (!left_ && size() > 1) MPI_Abort(connected_, 1);
  }

  std::string description() const override { return mpi_version(); }

  void sum(std::span<float> values) override { sum_of_type(values, MPI_FLOAT); }
  void sum(std::span<double> values) override { sum_of_type(values, MPI_DOUBLE); }

  void broadcast(std::span<std::byte> bytes) override {
    in_parts(bytes, [&](std::span<std::byte> part) {
      wait_for("a broadcast", [&](MPI_Request* request) {
        CONVOY_MPI(MPI_Ibcast(part.data(), static_cast<int>(part.size()), MPI_BYTE, 0, connected_, request));
      });
    });
  }

  std::vector<double> gather(std::span<const double> values) override {
    const auto count = static_cast<int>(values.size());
    std::vector<double> all(leads() ? values.size() * static_cast<std::size_t>(size()) : 0);
    wait_for("a gather", [&](MPI_Request* request) {
      CONVOY_MPI(MPI_Igather(values.data(), count, MPI_DOUBLE, all.data(), count, MPI_DOUBLE, 0, connected_,
                             request));
    });
    return all;
  }

  void barrier() override {
    wait_for("a barrier", [&](MPI_Request* request) { CONVOY_MPI(MPI_Ibarrier(connected_, request)); });
  }

  void attend() override {
    for (;;) {
      int waiting = 0;
      MPI_Status status{};
      CONVOY_MPI(MPI_Iprobe(MPI_ANY_SOURCE, kRollCall, connected_, &waiting, &status));
      if (waiting == 0) return;
      CONVOY_MPI(MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, kRollCall, connected_, MPI_STATUS_IGNORE));
      send(status.MPI_SOURCE, kPresent);
    }
  }

  // Asks all others who is there.
  std::optional<std::vector<int>> silent() override {
    std::vector<int> silent;
    for (int rank = 0; rank < size(); ++rank) {
      if (rank == this->rank()) continue;
      send(rank, kRollCall);
      silent.push_back(rank);
    }
    const auto until = Clock::now() + kAnswerTime;
    while (!silent.empty() && Clock::now() < until) {
      attend();  // to others whose patience has ended, too
      int arrived = 0;
      MPI_Status status{};
      CONVOY_MPI(MPI_Iprobe(MPI_ANY_SOURCE, kPresent, connected_, &arrived, &status));
      if (arrived == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      CONVOY_MPI(MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, kPresent, connected_, MPI_STATUS_IGNORE));
      std::erase(silent, status.MPI_SOURCE);
    }
    return silent;
  }

  void leave() override {
    barrier();  // MPI_Finalize would wait without an end
    left_ = true;
    CONVOY_MPI(MPI_Comm_free(&connected_));
    if (ours_) CONVOY_MPI(MPI_Finalize());
  }

  [[noreturn]] void abort(int code) override {
    MPI_Abort(connected_, code);
    std::_Exit(code);
  }

 private:
  template <typename T, typename Use>
  static void in_parts(std::span<T> values, Use use) {
    for (std::size_t begin = 0; begin < values.size(); begin += kMostAtOnce) {
      use(values.subspan(begin, std::min(kMostAtOnce, values.size() - begin)));
    }
  }

  template <typename T>
  void sum_of_type(std::span<T> values, MPI_Datatype type) {
    in_parts(values, [&](std::span<T> part) {
      wait_for("a sum", [&](MPI_Request* request) {
        CONVOY_MPI(MPI_Iallreduce(MPI_IN_PLACE, part.data(), static_cast<int>(part.size()), type, MPI_SUM,
                                  connected_, request));
      });
    });
  }

  /// `what` is what the others are waited for in.
  template <typename Start>
  void wait_for(const char* what, Start start) {
    MPI_Request request = MPI_REQUEST_NULL;
    start(&request);
    const auto begin = Clock::now();
    auto roll_call = begin + kBetweenRollCalls;
    while (!is_done(&request)) {
      std::this_thread::yield();  // to a process that we wait for, where processors are fewer
      const auto now = Clock::now();
      if (now > begin + place().patience) throw Error(absence(what, place(), *silent()));
      if (now > roll_call) {
        attend();
        roll_call = now + kBetweenRollCalls;
      }
    }
  }

  static bool is_done(MPI_Request* request) {
    int done = 0;
    CONVOY_MPI(MPI_Test(request, &done, MPI_STATUS_IGNORE));
    return done != 0;
  }

  /// Without a word nothing has to be received before it is sent.
  void send(int rank, int tag) {
    MPI_Request request = MPI_REQUEST_NULL;
    CONVOY_MPI(MPI_Isend(nullptr, 0, MPI_BYTE, rank, tag, connected_, &request));
    CONVOY_MPI(MPI_Request_free(&request));
  }

  MPI_Comm connected_;
  bool ours_;  // MPI is finished by us
  bool left_ = false;
};

/// The place as MPI has it.
GroupPlace place_in(MPI_Comm connected) {
  GroupPlace place;
  CONVOY_MPI(MPI_Comm_rank(connected, &place.rank));
  CONVOY_MPI(MPI_Comm_size(connected, &place.size));
  MPI_Comm machine = MPI_COMM_NULL;
  CONVOY_MPI(MPI_Comm_split_type(connected, MPI_COMM_TYPE_SHARED, place.rank, MPI_INFO_NULL, &machine));
  CONVOY_MPI(MPI_Comm_rank(machine, &place.local_rank));
  CONVOY_MPI(MPI_Comm_size(machine, &place.local_size));
  CONVOY_MPI(MPI_Comm_free(&machine));
  return place;
}

/// The group as MPI has it.
std::unique_ptr<Communicator> join(const GroupPlace& place) {
  int started = 0;
  CONVOY_MPI(MPI_Initialized(&started));
  if (started == 0) {
    int provided = 0;
    CONVOY_MPI(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided));
    if (provided < MPI_THREAD_FUNNELED) throw Error("this MPI allows no threads beside it");
  }
  MPI_Comm connected = MPI_COMM_NULL;
  CONVOY_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &connected));
  CONVOY_MPI(MPI_Comm_set_errhandler(connected, MPI_ERRORS_RETURN));
  GroupPlace found = place_in(connected);
  found.patience = place.patience;
  if (found.size < place.size) {
    throw Error(
        fmt::format("the launcher started {} processes, {} sees {}: mpirun is of another MPI than this "
                    "build's",
                    place.size, mpi_version(), found.size));
  }
  return std::make_unique<MpiCommunicator>(found, connected, started == 0);
}

}  // namespace
}  // namespace convoy

convoy::Communicator* convoy_join_mpi(const convoy::GroupPlace& place) {
  return convoy::join(place).release();
}
