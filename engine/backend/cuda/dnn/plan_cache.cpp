#include "engine/backend/cuda/dnn/plan_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <nlohmann/json.hpp>

#include "convoy/error.h"
#include "engine/core/atomic_file.h"
#include "engine/core/file.h"

namespace convoy::cuda::dnn {
namespace {

using Json = nlohmann::json;

// Of the file's own layout; another number is another layout.
constexpr int kFormat = 1;

// FNV-1a, 64 bits: it names files, and damage shows in it. Two keys that share a name only replace each
// other, since the file holds its whole key.
std::uint64_t digest(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

/// The content of a file; empty if it cannot be read.
std::string text_of(const std::filesystem::path& file) {
  try {
    return InputFile(file).read_text(std::numeric_limits<std::int64_t>::max());
  } catch (const Error&) {
    return {};
  }
}

constexpr const char* kExtension = ".plan.json";

}  // namespace

std::string PlanKey::text() const {
  return fmt::format("{} {}\n{}\n{}\n{} {} {}{}", cudnn_version, planning_version, device, signature,
                     static_cast<int>(policy.precision), policy.deterministic, policy.workspace_limit,
                     autotuned ? " autotuned" : "");
}

std::string PlanCache::problem(const std::filesystem::path& folder) {
  if (folder.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error && access(folder.c_str(), W_OK | X_OK) != 0) error.assign(errno, std::generic_category());
  if (!error) return {};
  return fmt::format("new plans cannot be kept in {} ({})", folder.string(), error.message());
}

std::size_t PlanCache::count(const std::filesystem::path& folder) {
  std::size_t count = 0;
  std::error_code error;
  std::filesystem::directory_iterator file(folder, error);
  for (; !error && file != std::filesystem::directory_iterator(); file.increment(error)) {
    if (file->path().filename().string().ends_with(kExtension)) ++count;
  }
  return count;
}

std::filesystem::path PlanCache::file_of(const PlanKey& key) const {
  return folder_ / fmt::format("{:016x}{}", digest(key.text()), kExtension);
}

std::optional<Plan> PlanCache::find(const PlanKey& key) const {
  if (folder_.empty()) return std::nullopt;
  const Json entry = Json::parse(text_of(file_of(key)), nullptr, /*allow_exceptions=*/false);
  try {
    const auto plan_json = entry.at("plan").get<std::string>();
    const Json& info = entry.at("info");
    if (entry.at("format") != kFormat || entry.at("key") != key.text() ||
        entry.at("digest") != digest(info.dump() + plan_json)) {
      return std::nullopt;
    }
    return Plan{{.graph = info.at("graph"),
                 .own_kernel = info.at("own_kernel"),
                 .engine = info.at("engine"),
                 .workspace = info.at("workspace"),
                 .launches = info.at("launches"),
                 .naive = info.at("naive"),
                 .tensor_core = info.at("tensor_core"),
                 .deterministic = info.at("deterministic"),
                 .runtime_compiled = info.at("runtime_compiled"),
                 .from_cache = true},
                plan_json};
  } catch (const Json::exception&) {
    return std::nullopt;  // damaged or foreign
  }
}

void PlanCache::store(const PlanKey& key, const Plan& plan) const {
  if (folder_.empty()) return;
  const Json info = {{"graph", plan.info.graph},
                     {"own_kernel", plan.info.own_kernel},
                     {"engine", plan.info.engine},
                     {"workspace", plan.info.workspace},
                     {"launches", plan.info.launches},
                     {"naive", plan.info.naive},
                     {"tensor_core", plan.info.tensor_core},
                     {"deterministic", plan.info.deterministic},
                     {"runtime_compiled", plan.info.runtime_compiled}};
  const Json entry = {{"format", kFormat},
                      {"key", key.text()},
                      {"digest", digest(info.dump() + plan.json)},
                      {"info", info},
                      {"plan", plan.json}};
  std::error_code ignored;
  std::filesystem::create_directories(folder_, ignored);
  try {
    write_atomically(file_of(key), entry.dump());
  } catch (const std::exception&) {
    // No space or no right: the next start plans again.
  }
}

}  // namespace convoy::cuda::dnn
