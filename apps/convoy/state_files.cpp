#include "apps/convoy/state_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "apps/convoy/terminal.h"
#include "convoy/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

bool is_state(const std::string& name) {
  constexpr std::string_view kBegin = "step-", kEnd = ".ckpt";
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) return false;
  const std::string_view digits = std::string_view(name).substr(kBegin.size(), name.size() - 10);
  return digits.size() >= 8 && digits.size() <= 18 &&
         std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

fs::path state_file(const fs::path& run, std::int64_t steps) {
  return run / kStatesFolder / fmt::format("step-{:08}.ckpt", steps);
}

std::vector<fs::path> state_files(const fs::path& run) {
  std::vector<fs::path> files;
  std::error_code ignored;  // without the folder there are none
  for (const auto& entry : fs::directory_iterator(run / kStatesFolder, ignored)) {
    if (is_state(entry.path().filename().string())) files.push_back(entry.path());
  }
  // By number: one of more than eight digits is longer.
  std::ranges::sort(files, [](const fs::path& a, const fs::path& b) {
    const std::string x = a.filename().string(), y = b.filename().string();
    return x.size() != y.size() ? x.size() > y.size() : x > y;
  });
  return files;
}

std::optional<FoundState> newest_state(const fs::path& run) {
  const std::vector<fs::path> files = state_files(run);
  for (const fs::path& file : files) {
    try {
      return FoundState{file, load_training(file)};
    } catch (const Error& error) {
      say_note(fmt::format("{}; it is passed over", error.what()));
    }
  }
  if (files.empty()) return std::nullopt;
  throw Error(
      fmt::format("{}: none of its {} states can be read; begin anew without --resume, with --overwrite",
                  (run / kStatesFolder).string(), files.size()));
}

void put_newer_states_aside(const fs::path& run, const fs::path& file) {
  std::error_code ignored;  // it stays damaged under its old name, too
  for (const fs::path& newer : state_files(run)) {
    if (newer == file) return;
    fs::rename(newer, newer.string() + ".damaged", ignored);
  }
}

void remove_old_states(const fs::path& run, std::size_t keep) {
  const std::vector<fs::path> files = state_files(run);
  std::error_code ignored;  // what is left over does no harm
  for (std::size_t i = keep; i < files.size(); ++i) fs::remove(files[i], ignored);
}

}  // namespace convoy
