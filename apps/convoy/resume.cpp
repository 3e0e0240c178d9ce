#include "apps/convoy/resume.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/convoy/averaging.h"
#include "apps/convoy/recorded_flags.h"
#include "apps/convoy/run_folder.h"
#include "convoy/error.h"
#include "convoy/model_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

/// Whether the record has a member of that type.
bool has(const Json& record, const char* key, bool (Json::*is_type)() const noexcept) {
  return record.contains(key) && (record[key].*is_type)();
}

/// Takes over a count of epochs or steps, which an older Convoy's states lack. False for what cannot be one.
bool take_count(const Json& json, const char* key, std::int64_t& count) {
  if (!json.contains(key)) return true;
  constexpr std::uint64_t kMost = std::uint64_t{1} << 31;  // so that no product with images overflows
  const Json& value = json[key];
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMost) return false;
  count = value.get<std::int64_t>();
  return true;
}

/// Where and by which program a training was computed.
std::string computed_by(const Json& record) {
  const auto processes = record["processes"].get<std::int64_t>();
  return fmt::format("{} process{} on {}, convoy {}", processes, processes == 1 ? "" : "es",
                     record["device_description"].get<std::string>(), record["versions"].dump());
}

}  // namespace

std::string StateNotes::text() const {
  return Json{{"log_bytes", log_bytes},
              {"last",
               {{"loss", last.loss},
                {"accuracy", last.accuracy},
                {"images_per_second", last.images_per_second},
                {"epoch", last.epoch},
                {"step", last.step}}},
              {"best", best},
              {"early_end", early_end}}
      .dump();
}

StateNotes StateNotes::of_text(const std::string& text, const fs::path& file) {
  const Error damaged(fmt::format("{}: its notes are not those that convoy train writes", file.string()));
  try {
    const Json json = Json::parse(text);
    StateNotes notes;
    json.at("log_bytes").get_to(notes.log_bytes);
    const Json& last = json.at("last");
    last.at("loss").get_to(notes.last.loss);
    last.at("accuracy").get_to(notes.last.accuracy);
    last.at("images_per_second").get_to(notes.last.images_per_second);
    if (!take_count(last, "epoch", notes.last.epoch) || !take_count(last, "step", notes.last.step))
      throw damaged;
    notes.best = json.at("best");
    notes.early_end = json.value("early_end", Json());
    return notes;
  } catch (const Json::exception&) {
    throw damaged;
  }
}

void require_folder(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) {
    throw UsageError(fmt::format("--resume {}: there is no such folder", folder.string()));
  }
  if (!fs::is_directory(folder, ignored)) {
    throw UsageError(fmt::format("--resume {}: it is a file; name the folder of the run", folder.string()));
  }
}

Json record_to_resume(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder / "run.json", ignored)) {
    throw UsageError(
        fmt::format("--resume {}: it holds no training: there is no run.json; name a run's folder, "
                    "as runs/convnet-mnist-1",
                    folder.string()));
  }
  Json record = record_in(folder / "run.json");
  const bool whole =
      has(record, "flags", &Json::is_object) && has(record, "versions", &Json::is_object) &&
      has(record, "epochs", &Json::is_number_integer) && has(record, "processes", &Json::is_number_integer) &&
      has(record, "dataset", &Json::is_string) && has(record, "device_description", &Json::is_string) &&
      has(record, "data_crc32", &Json::is_number_unsigned) &&
      (!record.contains("settle_batches") || has(record, "settle_batches", &Json::is_number_unsigned)) &&
      (!record.contains("results") || record["results"].is_object());
  if (whole) return without_settle(std::move(record), folder.string());
  throw UsageError(
      fmt::format("{}/run.json: it lacks what it takes to go on: it is damaged, or of an older Convoy; start "
                  "from a checkpoint with --init",
                  folder.string()));
}

bool tell_if_finished(CLI::App& command, const Json& record, const fs::path& folder) {
  std::error_code ignored;
  if (!record.contains("results") || !fs::exists(checkpoint_of(folder), ignored)) return false;
  take_over_flags(command, record["flags"], folder.string(), /*changes_allowed=*/false);
  const Json& results = record["results"];
  const double accuracy =
      has(results, "accuracy", &Json::is_number) ? results["accuracy"].get<double>() : 0.0;
  say_note(
      fmt::format("{} has finished, with a test accuracy of {:.2f} %: nothing is left to do; more epochs "
                  "take --epochs N --allow-changes",
                  folder.string(), 100.0 * accuracy));
  return true;
}

Resumed read_resumed(CLI::App& command, const fs::path& folder, const Json& record, bool changes_allowed) {
  take_over_flags(command, record["flags"], folder.string(), changes_allowed);
  return read_folder(folder, record);
}

Resumed read_folder(const fs::path& folder, const Json& record) {
  Resumed resumed{.folder = folder, .record = record, .model = {}, .state = {}, .notes = {}};
  resumed.model = load_model(folder / "model.json");
  resumed.state = newest_state(folder);
  if (resumed.state) {
    resumed.notes = StateNotes::of_text(resumed.state->training.notes, resumed.state->file);
  }
  return resumed;
}

Json checksums_of(const TrainData& data) {
  return {{"data_crc32", checksum(data.pair.train)},
          {"validation_crc32", data.validation ? Json(checksum(*data.validation)) : Json()},
          {"held_out_crc32", data.held_out_crc32 ? Json(*data.held_out_crc32) : Json()}};
}

bool same_computer(const Json& before, const Json& now) {
  const Json& versions = now["versions"];
  return before["processes"] == now["processes"] &&
         before["device_description"] == now["device_description"] &&
         std::ranges::all_of(before["versions"].items(), [&](const auto& part) {
           return !versions.contains(part.key()) || versions[part.key()] == part.value();
         });
}

void check_same_data(const fs::path& folder, const Json& before, const Json& now) {
  const auto differs = [&](const char* key) { return before.contains(key) && before[key] != now[key]; };
  if (differs("data_crc32") || differs("validation_crc32")) {
    throw UsageError(
        fmt::format("the training images of {} are not those of {}: their checksum is another; name the "
                    "folder of the right ones with --data, or go on with --allow-changes",
                    now["data"].get<std::string>(), folder.string()));
  }
}

void check_resumed(const Resumed& resumed, const Json& record, bool changes_allowed) {
  const std::string folder = resumed.folder.string();
  if (!changes_allowed) check_same_data(resumed.folder, resumed.record, record);
  if (resumed.state) {
    const TrainingPosition& position = resumed.state->training.snapshot.position;
    const std::int64_t begun = position.epoch - (position.step > 0 ? 0 : 1);
    if (const auto epochs = record["epochs"].get<std::int64_t>(); begun > epochs) {
      throw UsageError(fmt::format("{} is in epoch {} already, --epochs is {}", folder, begun, epochs));
    }
  }
  if (!same_computer(resumed.record, record)) {
    say_note(
        fmt::format("{} was computed by {}, and goes on by {}: its bits may differ from those of an "
                    "undisturbed training",
                    folder, computed_by(resumed.record), computed_by(record)));
  } else if (resumed.record["flags"].contains("--autotune")) {
    say_note(
        fmt::format("{} has --autotune: its bits are those of an undisturbed training only with the same "
                    "plan cache",
                    folder));
  }
}

TrainingSnapshot snapshot_for(const Resumed& resumed, std::int64_t batch) {
  TrainingSnapshot snapshot = resumed.state->training.snapshot;
  // As the trainer sees it: so many samples make so many steps.
  if (snapshot.position.step != (snapshot.metrics.samples + batch - 1) / batch) {
    snapshot.position.step = 0;
    snapshot.metrics = {};
  }
  return snapshot;
}

}  // namespace convoy
