#include "convoy/checkpoint.h"

#include <fmt/format.h>

#include <new>
#include <type_traits>

#include "convoy/error.h"
#include "convoy/safetensors.h"
#include "engine/core/atomic_file.h"
#include "engine/core/file.h"
#include "engine/io/safetensors_header.h"
#include "engine/io/state_pickle.h"
#include "engine/io/torch_archive.h"
#include "engine/io/torch_file.h"
#include "engine/io/training_pickle.h"

namespace convoy {
namespace {

/// What `read` makes of the file. Every error names it.
template <typename Read>
auto load(const char* what, const std::filesystem::path& file, Read read) {
  InputFile input(file);
  try {
    std::invoke_result_t<Read, std::string_view, const StorageReader&, std::uint64_t> result;
    read_torch_file(input, [&](std::string_view pickle, const StorageReader& storage, std::uint64_t most) {
      result = read(pickle, storage, most);
    });
    return result;
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
