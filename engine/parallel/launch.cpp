#include "engine/parallel/launch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

namespace convoy {
namespace {

// Sources: Open MPI's mpirun(1), MPICH's Hydra, PMIx; torch.distributed.run; Slurm's srun(1).
constexpr const char* kOpenMpiSize = "OMPI_COMM_WORLD_SIZE";
constexpr const char* kPmiSize = "PMI_SIZE";
constexpr const char* kPmixRank = "PMIX_RANK";
constexpr int kMostPorts = 65535;

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  /// An empty variable counts as none.
  std::optional<std::string> text(const char* name) const {
    const char* value = environment_(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  }

  bool has(const char* name) const { return text(name).has_value(); }

  std::optional<int> number(const char* name, int least, int most = std::numeric_limits<int>::max()) const {
    const auto value = text(name);
    if (!value) return std::nullopt;
    int parsed = 0;
    const char* const end = value->data() + value->size();
    const auto [stop, status] = std::from_chars(value->data(), end, parsed);
    if (status != std::errc() || stop != end || parsed < least || parsed > most) {
      throw UsageError(
          fmt::format("{}={} is not a whole number from {} {}", name, *value, least,
                      most < std::numeric_limits<int>::max() ? fmt::format("to {}", most) : "on"));
    }
    return parsed;
  }

 private:
  const Environment& environment_;
};

/// Throws unless all are set; `why` says which of them are.
void require_all(const Reader& reader, const std::vector<const char*>& names, const std::string& why) {
  std::vector<const char*> missing;
  for (const char* name : names) {
    if (!reader.has(name)) missing.push_back(name);
  }
  if (missing.empty()) return;
  throw UsageError(
      fmt::format("{}, but not {}: start the processes with mpirun or torchrun, or set all of {}", why,
                  fmt::join(missing, ", "), fmt::join(names, ", ")));
}

std::string meeting_of(const Reader& reader) {
  int port = *reader.number("MASTER_PORT", 1, kMostPorts);
  // torchrun's agent listens on the port itself then, so NCCL takes the next.
  if (reader.text("TORCHELASTIC_USE_AGENT_STORE") == "True") port = port % kMostPorts + 1;
  const std::string address = *reader.text("MASTER_ADDR");
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                : fmt::format("[{}]:{}", address, port);  // IPv6
}

void check(const GroupPlace& place, const char* rank_name, const char* size_name) {
  if (place.rank < place.size) return;
  throw UsageError(fmt::format("{}={} is not below {}={}", rank_name, place.rank, size_name, place.size));
}

GroupPlace of_torchrun(const Reader& reader) {
  require_all(reader, {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"},
              reader.has("RANK") ? "RANK is set" : "WORLD_SIZE is set");
  GroupPlace place{.rank = *reader.number("RANK", 0),
                   .size = *reader.number("WORLD_SIZE", 1),
                   .local_rank = *reader.number("LOCAL_RANK", 0),
                   .local_size = reader.number("LOCAL_WORLD_SIZE", 1).value_or(1),
                   .meeting = meeting_of(reader)};
  check(place, "RANK", "WORLD_SIZE");
  return place;
}

GroupPlace of_slurm(const Reader& reader, int size) {
  require_all(reader, {"SLURM_PROCID", "SLURM_LOCALID", "MASTER_ADDR", "MASTER_PORT"},
              fmt::format("Slurm started {} tasks", size));
  GroupPlace place{.rank = *reader.number("SLURM_PROCID", 0),
                   .size = size,
                   .local_rank = *reader.number("SLURM_LOCALID", 0),
                   .local_size = 1,
                   .meeting = meeting_of(reader)};
  check(place, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS");
  return place;
}

GroupPlace of_mpi(const Reader& reader) {
  GroupPlace place;
  if (reader.has(kOpenMpiSize)) {
    place.size = *reader.number(kOpenMpiSize, 1);
    place.rank = reader.number("OMPI_COMM_WORLD_RANK", 0).value_or(0);
    place.local_rank = reader.number("OMPI_COMM_WORLD_LOCAL_RANK", 0).value_or(0);
    place.local_size = reader.number("OMPI_COMM_WORLD_LOCAL_SIZE", 1).value_or(1);
  } else if (reader.has(kPmiSize)) {
    place.size = *reader.number(kPmiSize, 1);
    place.rank = reader.number("PMI_RANK", 0).value_or(0);
    place.local_rank = reader.number("MPI_LOCALRANKID", 0).value_or(0);
    place.local_size = reader.number("MPI_LOCALNRANKS", 1).value_or(1);
  }
  return place;
}

}  // namespace

Launch launch_of(const Environment& environment) {
  const Reader reader(environment);
  if (reader.has(kOpenMpiSize) || reader.has(kPmiSize)) {
    const GroupPlace place = of_mpi(reader);
    return {place.size > 1 ? Launcher::mpi : Launcher::none, place};  // alone it needs no MPI
  }
  if (reader.has(kPmixRank)) return {Launcher::mpi, {}};  // PMIx tells the size in its own way
  if (reader.has("RANK") || reader.has("WORLD_SIZE")) return {Launcher::variables, of_torchrun(reader)};
  // Only of a step that srun started: the batch script itself has the other variables, too.
  if (const auto tasks = reader.number("SLURM_STEP_NUM_TASKS", 1); tasks && *tasks > 1) {
    return {Launcher::variables, of_slurm(reader, *tasks)};
  }
  return {};
}

}  // namespace convoy
