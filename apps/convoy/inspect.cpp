// convoy inspect: tells what is in a file, whatever it is. Nothing in it is run, and no size in it is
// trusted.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <exception>
#include <memory>
#include <new>
#include <vector>

#include "apps/convoy/commands.h"
#include "apps/convoy/failure.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/inspection.h"
#include "apps/convoy/tensorboard/event_file.h"
#include "engine/core/file.h"
#include "engine/core/onnx_magic.h"
#include "engine/data/byte_reader.h"
#include "engine/data/csv.h"
#include "engine/data/file_kind.h"
#include "engine/io/contents.h"
#include "engine/io/little_endian.h"
#include "engine/io/quote.h"
#include "engine/io/torch_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct InspectFlags {
  std::vector<fs::path> files;
  bool json = false;
};

constexpr std::string_view kNpy = "\x93NUMPY";
constexpr std::string_view kGzip = "\x1f\x8b";

/// The first bytes of what a file has compressed with gzip.
std::string unpacked_start(const fs::path& file) {
  std::string start(4, '\0');
  start.resize(ByteReader(file).read({reinterpret_cast<std::uint8_t*>(start.data()), start.size()}));
  return start;
}

bool is_idx(std::string_view start) {
  return start.size() >= 4 && start[0] == 0 && start[1] == 0 && start[2] >= 0x08 && start[2] <= 0x0e;
}

/// Whether a zip archive begins with one of NumPy's arrays; those of torch.save have no such names.
bool is_npz(std::string_view start) {
  constexpr std::size_t kLengthAt = 26, kNameAt = 30;
  if (!start.starts_with("PK\x03\x04") || start.size() < kNameAt) return false;
  const std::size_t length = from_little_endian(start.substr(kLengthAt, 2));
  return start.substr(kNameAt, length).ends_with(".npy");
}

/// Whether the bytes are ASCII text, which a configuration begins with.
bool is_text(std::string_view start) {
  return !start.empty() && std::ranges::all_of(start, [](char c) {
    return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\r' || c == '\t';
  });
}

/// Says of a file what the commands that load it would, where they know it.
[[noreturn]] void refuse(const fs::path& file, std::string_view start) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(start.data());
  std::string what = start.empty() ? "it is empty" : other_than_torch(start);
  if (what.empty()) what = kind_of_file({bytes, start.size()});
  if (what.empty()) what = "it is none of the files that are known here";
  throw Error(fmt::format("{}: {}", file.string(), what));
}

Inspection inspect(const fs::path& file) {
  std::error_code unknown;
  if (fs::is_directory(file, unknown)) return inspect_run(file);
  constexpr std::int64_t kWithName = 1024;
  if (is_npz(InputFile(file).read_text(kWithName))) return inspect_arrays(file, /*is_archive=*/true);
  if (holds_tensors(file)) return inspect_tensors(file);
  const std::string start = InputFile(file).read_text(64);
  if (start.starts_with(kNpy)) return inspect_arrays(file, /*is_archive=*/false);
  if (is_csv_data(file)) return inspect_table(file);
  const bool is_packed = start.starts_with(kGzip);
  if (is_idx(is_packed ? unpacked_start(file) : start)) return inspect_idx(file);
  if (is_packed) {
    throw Error(fmt::format("{}: it is compressed with gzip, and not an IDX file; unpack it first: gzip -d",
                            file.string()));
  }
  if (start.starts_with('{')) return inspect_json(file);
  if (begins_as_onnx(start)) return inspect_onnx(file);
  if (record_length(start)) return inspect_events(file);
  if (file.extension() == ".toml" && is_text(start)) return inspect_config(file);
  refuse(file, start);
}

/// On one line and without escapes for a terminal, which a foreign file may hold.
std::string in_words(const Json& value) {
  if (value.is_string() && is_tensor_name(value.get_ref<const std::string&>()))
    return value.get<std::string>();
  return value.dump(-1, ' ', true, Json::error_handler_t::replace);
}

void print(const fs::path& file, const Inspection& inspection) {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const auto& fact : inspection.facts.items())
    lines.emplace_back(in_words(fact.key()), in_words(fact.value()));
  lines.insert(lines.end(), inspection.lines.begin(), inspection.lines.end());
  std::size_t width = 0;
  for (const auto& [key, words] : lines) width = std::max(width, key.size());
  std::string text = fmt::format("{}: {}\n", bold(file.string()), inspection.kind);
  for (const auto& [key, words] : lines) text += fmt::format("  {:{}}  {}\n", key, width, words);
  if (!inspection.table.empty()) text += "\n" + inspection.table;
  put(text);
}

int run_inspect(const InspectFlags& flags) {
  int code = kDone;
  for (const fs::path& file : flags.files) {
    try {
      const Inspection inspection = inspect(file);
      if (flags.json) {
        Json event = {{"event", "inspect"}, {"file", file.string()}, {"kind", inspection.kind}};
        for (const Json* const members : {&inspection.facts, &inspection.details}) {
          // A key of a foreign file does not replace one of the event.
          for (const auto& member : members->items()) {
            if (!event.contains(member.key())) event[member.key()] = member.value();
          }
        }
        emit(event);
      } else {
        print(file, inspection);
      }
      if (!inspection.failure.empty())
        code = std::max(code, fail(kFailed, fmt::format("{}: {}", file.string(), inspection.failure)));
    } catch (const std::bad_alloc&) {
      code = std::max(code, fail(kFailed, fmt::format("{}: not enough memory", file.string())));
    } catch (const std::exception&) {  // the other files are told all the same
      code = std::max(code, report_failure());
    }
  }
  return code;
}

}  // namespace

Command add_inspect(CLI::App& program) {
  const auto flags = std::make_shared<InspectFlags>();
  CLI::App& command = *program.add_subcommand("inspect", "Tell what is in a file");
  command
      .add_option("files", flags->files,
                  "Checkpoints and states of Convoy and PyTorch, safetensors, ONNX, model.json, run.json, "
                  "config.toml, TensorBoard's events, data (IDX, npz, npy, CSV), or the folders of runs")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->option_text("FILE ...");
  add_json_flag(command, flags->json);
  set_footer(command,
             "  convoy inspect runs/convnet-mnist-1\n"
             "  convoy inspect model.safetensors pytorch.pt\n"
             "  convoy inspect resnet.onnx\n"
             "  convoy inspect --json runs/convnet-mnist-1/model.ckpt\n");
  return {&command, [flags] { return run_inspect(*flags); }};
}

}  // namespace convoy
