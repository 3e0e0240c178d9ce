// convoy import: makes a model file and a checkpoint of another program's model.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <system_error>

#include "apps/convoy/commands.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/folder_lock.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/terminal.h"
#include "apps/convoy/write_target.h"
#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/model_file.h"
#include "convoy/onnx.h"
#include "engine/core/atomic_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct ImportFlags {
  fs::path onnx;
  fs::path out;
  bool overwrite = false;
  bool json = false;
};

/// The two files that a model is.
struct ModelFiles {
  fs::path model;
  fs::path checkpoint;
};

/// Throws UsageError if a file that is there may not be replaced. What lies beside a run.json is what that
/// training came to, with its data and its accuracy, and a foreign model is not.
void check_targets(const ModelFiles& files, const ImportFlags& flags) {
  for (const fs::path& file : {files.model, files.checkpoint}) {
    refuse_to_harm(file, {{flags.onnx, "the file to import"}}, "name another folder with --out");
    std::error_code unknown;
    if (flags.overwrite || !fs::exists(file, unknown)) continue;
    throw UsageError(fmt::format("{} is there already; name another folder with --out, or add --overwrite",
                                 file.string()));
  }
}

/// Writes the checkpoint first, so that no model file is without one. The folder is locked, as a training may
/// be about to begin in it.
void write(const OnnxModel& read, const ModelFiles& files, const ImportFlags& flags) {
  std::error_code failed;
  fs::create_directories(flags.out, failed);
  if (failed) throw Error(fmt::format("cannot make {}: {}", flags.out.string(), failed.message()));
  const FolderLock lock(flags.out);
  check_targets(files, flags);
  save_checkpoint(read.state, files.checkpoint);
  write_atomically(files.model, to_json(read.model) + "\n");
}

int run_import(const ImportFlags& flags) {
  const ModelFiles files{flags.out / "model.json", flags.out / "model.ckpt"};
  check_targets(files, flags);
  const OnnxModel read = load_onnx(flags.onnx);
  write(read, files, flags);
  for (const std::string& note : read.notes) say_note(note);
  if (flags.json) {
    emit({{"event", "import"},
          {"file", flags.onnx.string()},
          {"model", files.model.string()},
          {"checkpoint", files.checkpoint.string()},
          {"name", read.model.name},
          {"parameters", trainable_count(read.model)},
          {"classes", class_count(read.model)},
          {"notes", read.notes}});
    return 0;
  }
  put(summary(read.model, 1));
  put(fmt::format("\nwritten     {}, {}\ngo on with  convoy train --model {} --init {} --dataset ...\n",
                  files.model.string(), files.checkpoint.string(), files.model.string(),
                  files.checkpoint.string()));
  return 0;
}

}  // namespace

Command add_import(CLI::App& program) {
  const auto flags = std::make_shared<ImportFlags>();
  CLI::App& command = *program.add_subcommand("import", "Make a model of another program's file");
  command
      .add_option("--onnx", flags->onnx,
                  "ONNX file of PyTorch, Convoy or another program, with images [N, C, H, W]")
      ->option_text("FILE")
      ->check(not_empty())
      ->required();
  command.add_option("--out", flags->out, "Folder for model.json and model.ckpt")
      ->option_text("FOLDER")
      ->check(not_empty())
      ->required();
  command.add_flag("--overwrite", flags->overwrite,
                   "Replace a model that is in the folder, but not that of a training");
  add_json_flag(command, flags->json);
  set_footer(
      command,
      "  convoy import --onnx resnet.onnx --out runs/resnet\n"
      "  convoy train --model runs/resnet/model.json --init runs/resnet/model.ckpt --dataset cifar10\n");
  return {&command, [flags] { return run_import(*flags); }};
}

}  // namespace convoy
