#include "engine/data/strangers.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "engine/core/lower_case.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostEntries = 2000;  // of a folder of pictures, which may have millions

/// The entries of a folder, sorted, so that a message is always the same.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code code;
  for (fs::directory_iterator at(folder, code);
       !code && at != fs::directory_iterator() && entries.size() < kMostEntries; at.increment(code)) {
    entries.push_back(at->path());
  }
  std::ranges::sort(entries);
  return entries;
}

bool ends_with_any(const std::string& name, std::initializer_list<std::string_view> endings) {
  return std::ranges::any_of(endings, [&](std::string_view ending) { return name.ends_with(ending); });
}

/// The binary version of CIFAR-10, which is read.
constexpr const char* kGetBinary =
    "Convoy reads the binary version: run convoy fetch cifar10, or unpack cifar-10-binary.tar.gz there";
/// IDX files, which are read.
constexpr const char* kGetIdx =
    "Convoy reads IDX files (train-images-idx3-ubyte and so on; convoy fetch mnist gets MNIST's)";

/// The command that unpacks an archive; empty if it is none.
std::string unpacking(const fs::path& file) {
  const std::string name = lower_case(file.filename().string());
  const std::string folder = file.parent_path().string();
  if (ends_with_any(name, {".tar.gz", ".tgz", ".tar", ".tar.xz", ".tar.bz2"}))
    return fmt::format("tar -xf {} -C {}", file.string(), folder);
  return name.ends_with(".zip") ? fmt::format("unzip {} -d {}", file.string(), folder) : "";
}

std::string strange_file(const fs::path& file, const std::string& dataset) {
  const std::string name = lower_case(file.filename().string());
  const std::string path = file.string();
  if (name.starts_with("cifar-10-python.") || name.starts_with("cifar-10-matlab."))
    return fmt::format("{} is CIFAR-10's {} version; {}", path, name[9] == 'p' ? "Python" : "MATLAB",
                       kGetBinary);
  if (const std::string command = unpacking(file); !command.empty())
    return fmt::format("{} is not unpacked: run {}", path, command);
  if (name.starts_with("data_batch_") && name.ends_with(".mat"))
    return fmt::format("{} is of CIFAR-10's MATLAB version; {}", path, kGetBinary);
  if (name == "data_batch_1" || name == "batches.meta")
    return fmt::format("{} is of CIFAR-10's Python version; {}", path, kGetBinary);
  if (dataset != "cifar100" && (name == "train.bin" || name == "fine_label_names.txt"))
    return fmt::format("{} is of CIFAR-100: name --dataset cifar100", path);
  if (ends_with_any(name, {".csv", ".csv.gz"}))
    return fmt::format("{} is a table: leave --dataset out, or name --dataset csv", path);
  if (ends_with_any(name, {".npz", ".npy"}))
    return fmt::format("{} is NumPy's: leave --dataset out, or name --dataset npz", path);
  if (ends_with_any(name, {".parquet", ".pkl", ".pkl.gz", ".mat", ".h5", ".hdf5", ".pt", ".arrow"}))
    return fmt::format("{} is in a format that is not read; {}", path, kGetIdx);
  if (ends_with_any(name, {".png", ".jpg", ".jpeg"}))
    return fmt::format(
        "{} is a picture: put those of each class into a folder of its own, and leave --dataset out "
        "or name --dataset pictures",
        path);
  const bool idx =
      name.find("idx3-ubyte") != std::string::npos || name.find("idx1-ubyte") != std::string::npos;
  if (idx && dataset.starts_with("cifar"))
    return fmt::format("{} is an IDX file: name --dataset mnist, fashion-mnist or idx", path);
  if (dataset != "cifar10" && name == "data_batch_1.bin")
    return fmt::format("{} is of CIFAR-10: name --dataset cifar10", path);
  return {};
}

}  // namespace

std::string strange_content(const fs::path& folder, const std::string& dataset) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    return fs::exists(folder, ignored) ? strange_file(folder, dataset) : std::string();
  }
  std::vector<fs::path> below;
  for (const fs::path& entry : entries_of(folder)) {
    std::error_code code;
    if (fs::is_directory(entry, code)) {
      below.push_back(entry);
    } else if (const std::string strange = strange_file(entry, dataset); !strange.empty()) {
      return strange;
    }
  }
  for (const fs::path& inner : below) {
    for (const fs::path& entry : entries_of(inner)) {
      std::error_code code;
      if (fs::is_directory(entry, code)) continue;
      if (const std::string strange = strange_file(entry, dataset); !strange.empty()) return strange;
    }
  }
  return {};
}

}  // namespace convoy
