#include "apps/convoy/resume.h"

#include <fmt/format.h>

#include "apps/convoy/recorded_flags.h"
#include "apps/convoy/run_folder.h"
#include "convoy/error.h"
#include "convoy/model_file.h"

namespace convoy {

namespace fs = std::filesystem;

std::uint64_t Resumed::log_bytes() const {
  const auto bytes = notes.find("log_bytes");
  return bytes != notes.end() && bytes->is_number_unsigned() ? bytes->get<std::uint64_t>() : 0;
}

void require_training(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw UsageError(fmt::format("--resume {}: there is no such folder", folder.string()));
  }
  if (!fs::exists(folder / "run.json", ignored)) {
    throw UsageError(fmt::format("--resume {}: it holds no training: there is no run.json", folder.string()));
  }
}

Resumed read_resumed(CLI::App& command, const fs::path& folder, bool changes_allowed) {
  Resumed resumed{.folder = folder, .record = record_in(folder / "run.json"), .model = {}, .state = {}};
  if (!resumed.record.is_object() || !resumed.record.contains("flags") ||
      !resumed.record["flags"].is_object()) {
    throw UsageError(
        fmt::format("{}/run.json: it has no flags to go on with: it is damaged, or of an older Convoy; start "
                    "from its checkpoint with --init",
                    folder.string()));
  }
  take_over_flags(command, resumed.record["flags"], folder.string(), changes_allowed);
  resumed.model = load_model(folder / "model.json");
  resumed.state = newest_state(folder);
  if (resumed.state) {
    resumed.notes = Json::parse(resumed.state->training.notes, nullptr, /*allow_exceptions=*/false);
    if (!resumed.notes.is_object()) {
      throw Error(fmt::format("{}: its notes are not Convoy's: another program wrote it",
                              resumed.state->file.string()));
    }
  }
  return resumed;
}

void check_resumed(const Resumed& resumed, const Json& record, const TrainData& data, bool changes_allowed) {
  if (!resumed.state) return;
  const std::string folder = resumed.folder.string();
  const TrainingPosition& position = resumed.state->training.snapshot.position;
  if (const auto epochs = record["epochs"].get<std::int64_t>(); position.epoch - 1 > epochs) {
    throw UsageError(
        fmt::format("{} has done {} epochs already, --epochs is {}", folder, position.epoch - 1, epochs));
  }
  const auto known = resumed.notes.find("data_crc32");
  if (known != resumed.notes.end() && *known != checksum(data.pair.train) && !changes_allowed) {
    throw UsageError(
        fmt::format("the training images of {} are not those of {}: their checksum is another; name the "
                    "folder of the right ones with --data, or go on with --allow-changes",
                    data.location.folder.string(), folder));
  }
  const auto where = [](const Json& from) {
    const auto processes = from.value("processes", std::int64_t{1});
    return fmt::format("{} process{} on {}", processes, processes == 1 ? "" : "es",
                       from.value("device_description", ""));
  };
  if (where(resumed.record) != where(record)) {
    say_note(
        fmt::format("{} was begun by {}, and goes on by {}: its bits may differ from those of an "
                    "undisturbed training",
                    folder, where(resumed.record), where(record)));
  }
}

TrainingSnapshot snapshot_for(const Resumed& resumed, std::int64_t epochs, std::int64_t processes) {
  TrainingSnapshot snapshot = resumed.state->training.snapshot;
  const bool same_batches = resumed.record.value("processes", std::int64_t{1}) == processes;
  if (!same_batches) {
    snapshot.position.step = 0;
    snapshot.metrics = {};
  }
  if (!same_batches || resumed.record.value("epochs", std::int64_t{0}) != epochs) {
    snapshot.average_count = 0;
    snapshot.average.clear();
  }
  return snapshot;
}

}  // namespace convoy
