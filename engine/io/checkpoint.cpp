#include "convoy/checkpoint.h"

#include <fmt/format.h>

#include <array>
#include <new>

#include "convoy/error.h"
#include "convoy/safetensors.h"
#include "engine/core/atomic_file.h"
#include "engine/core/file.h"
#include "engine/io/legacy_archive.h"
#include "engine/io/quote.h"
#include "engine/io/safetensors_header.h"
#include "engine/io/state_pickle.h"
#include "engine/io/torch_archive.h"
#include "engine/io/training_pickle.h"

namespace convoy {
namespace {

constexpr std::string_view kZipMagic = "PK\x03\x04";

// What else people call a checkpoint, by its first bytes, and what to do with it.
struct OtherFormat {
  std::string_view magic;
  const char* advice;
};
constexpr std::int64_t kLongestMagic = 40;
constexpr auto kOtherFormats = std::to_array<OtherFormat>({
    {"\x80",
     "it is a bare pickle, as pickle.dump writes it; save the state dict with torch.save(model.state_dict(), "
     "file)"},
    {"\x93NUMPY", "it is a NumPy array; save a state dict with torch.save(model.state_dict(), file)"},
    {"\x89HDF",
     "it is an HDF5 file, as Keras saves weights; load them into a PyTorch model, and torch.save its "
     "state_dict()"},
    {"\x1f\x8b", "it is compressed with gzip; unpack it first: gzip -d"},
    {"version https://git-lfs",
     "it is a pointer of Git LFS, not the file itself; get that with git lfs pull"},
    {"<", "it is a web page, not a checkpoint; download the file itself"},
});

/// Throws unless the file begins as those of torch.save do.
void check_start(std::string_view start) {
  if (start.starts_with(kZipMagic)) return;
  for (const auto& [magic, advice] : kOtherFormats) {
    if (start.starts_with(magic)) throw Error(advice);
  }
  if (is_safetensors(start))
    throw Error("it is a safetensors file, which holds tensors alone and no training");
  throw Error("it is not a file that torch.save wrote");
}

/// Throws unless this reader understands the archive's format version and byte order.
void check_marks(const TorchArchive& archive) {
  const std::string version = archive.read("version");
  // PyTorch writes 3 since version 1.6. Its own reader accepts 1 to 10.
  if (version != "10\n" &&
      (version.size() != 2 || version[0] < '1' || version[0] > '9' || version[1] != '\n')) {
    throw Error(fmt::format("its format version is {}, not 1 to 10", quote(version)));
  }
  if (!archive.has("byteorder")) return;  // PyTorch 2.1 and newer write it
  if (const std::string order = archive.read("byteorder"); order != "little") {
    throw Error(fmt::format("its byte order is {}, not \"little\"; save it again on a little-endian machine",
                            quote(order)));
  }
}

/// Calls `read` with the file's pickle, a reader of its storages, and the most elements that they may have.
template <typename Read>
auto load_from(InputFile& input, Read read) {
  // An element takes two bytes or more, so this limit lets at least 16 tensors share one storage.
  constexpr std::uint64_t kElementsPerByte = 8;
  const std::uint64_t most_elements = kElementsPerByte * static_cast<std::uint64_t>(input.bytes());
  const std::string start = input.read_text(kLongestMagic);
  if (LegacyArchive::begins(start)) {
    const LegacyArchive archive(input);
    const StorageReader storage = [&archive](std::string_view key) { return archive.read(key); };
    return read(archive.pickle(), storage, most_elements);
  }
  check_start(start);
  const TorchArchive archive(input);
  check_marks(archive);
  const StorageReader storage = [&archive](std::string_view key) {
    return archive.read(fmt::format("data/{}", key));
  };
  const std::string pickle = archive.read("data.pkl");
  return read(pickle, storage, most_elements);
}

/// The same for a file by its name. Every error names it.
template <typename Read>
auto load(const char* what, const std::filesystem::path& file, Read read) {
  InputFile input(file);
  try {
    return load_from(input, read);
  } catch (const Error& error) {
    throw Error(fmt::format("cannot load {} {}: {}", what, file.string(), error.what()));
  } catch (const std::bad_alloc&) {  // a sparse file can claim any size
    throw Error(fmt::format("cannot load {} {}: not enough memory", what, file.string()));
  }
}

/// Writes what `make` returns. Its errors name the file.
template <typename Make>
void save(const char* what, const std::filesystem::path& file, Make make) {
  std::string archive;
  try {
    PickledFile content = make();
    std::vector<ArchiveEntry> entries{{"data.pkl", std::move(content.pickle)}, {"byteorder", "little"}};
    for (std::size_t i = 0; i < content.storages.size(); ++i) {
      entries.push_back({fmt::format("data/{}", i), std::move(content.storages[i])});
    }
    entries.push_back({"version", "3\n"});
    archive = torch_archive(entries);
  } catch (const Error& error) {
    throw Error(fmt::format("cannot save {} {}: {}", what, file.string(), error.what()));
  }
  write_atomically(file, archive);
}

}  // namespace

void save_checkpoint(const StateDict& state, const std::filesystem::path& file) {
  save("checkpoint", file, [&] {
    PickledFile content{state_to_pickle(state), {}};
    for (const auto& entry : state) content.storages.push_back(storage_bytes(entry));
    return content;
  });
}

StateDict load_checkpoint(const std::filesystem::path& file,
                          const std::function<void(const std::string&)>& say) {
  if (is_safetensors(InputFile(file).read_text(kLongestMagic))) return load_safetensors(file).state;
  PickledState loaded = load("checkpoint", file, state_from_pickle);
  if (!loaded.place.empty() && say) {
    say(fmt::format("{}: its state dict is the one under {}", file.string(), loaded.place));
  }
  return std::move(loaded.state);
}

void save_training(const TrainingSnapshot& snapshot, const OptimizerOptions& optimizer,
                   std::string_view notes, const std::filesystem::path& file,
                   const std::optional<MuonOptions>& muon) {
  save("training", file, [&] { return training_to_pickle(snapshot, optimizer, notes, muon); });
}

SavedTraining load_training(const std::filesystem::path& file) {
  return load("training", file, training_from_pickle);
}

}  // namespace convoy
