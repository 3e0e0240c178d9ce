// convoy export: writes a trained model for other programs.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>

#include "apps/convoy/commands.h"
#include "apps/convoy/exported_model.h"
#include "apps/convoy/interrupt.h"
#include "apps/convoy/onnx_export.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/terminal.h"
#include "apps/convoy/write_target.h"
#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/safetensors.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct ExportFlags {
  CheckpointFlags trained;
  OnnxExportFlags onnx;
  bool json = false;
};

/// What there is to say of a file that was written.
struct Remark {
  std::string line;               // empty: nothing
  Json members = Json::object();  // of the event
};

/// Says so if the file does not tell how the training images were made, because that is not known.
void note_unknown_preparation(const TrainedModel& trained, const fs::path& file) {
  if (trained.preparation_is_recorded) return;
  say_note(fmt::format("{}: how the training images were made is not known, so the file does not tell it",
                       file.string()));
}

Remark write_safetensors(const TrainedModel& trained, const ExportFlags& /*flags*/, const fs::path& file) {
  save_safetensors(trained.state, file, metadata_of(trained));
  note_unknown_preparation(trained, file);
  return {};
}

Remark write_pytorch(const TrainedModel& trained, const ExportFlags& /*flags*/, const fs::path& file) {
  save_checkpoint(trained.state, file);
  return {};
}

Remark write_onnx(const TrainedModel& trained, const ExportFlags& flags, const fs::path& file) {
  const Verification found = export_onnx(trained, flags.onnx, file);
  note_unknown_preparation(trained, file);
  return {found.line, {{"verified", found.done}, {"verification", found.line}}};
}

/// A format that can be written. A flag that changes how, is a member of ExportFlags.
struct Format {
  const char* flag;
  const char* help;
  Remark (*write)(const TrainedModel& trained, const ExportFlags& flags, const fs::path& file);
};
constexpr auto kFormats = std::to_array<Format>({
    {"--safetensors", "Write safetensors, with the model and how its images were made as metadata",
     write_safetensors},
    {"--pytorch", "Write what torch.save(model.state_dict()) would", write_pytorch},
    {"--onnx", "Write an ONNX graph of opset 17, which takes normalised images [N, C, H, W]", write_onnx},
});

/// The files to write, one a format; empty for a format that was not asked for.
using Targets = std::array<fs::path, kFormats.size()>;

/// Throws UsageError unless there is something to write, and each to a file of its own.
void check_targets(const Targets& targets, const CheckpointFlags& trained) {
  const std::vector<NeededFile> read = files_read_for(trained);
  std::vector<fs::path> files;
  for (const fs::path& target : targets) {
    if (target.empty()) continue;
    refuse_to_harm(target, read);
    if (std::ranges::any_of(files, [&](const fs::path& other) { return is_same_target(target, other); })) {
      throw UsageError(fmt::format("{} is named for two formats", target.string()));
    }
    files.push_back(target);
  }
  if (!files.empty()) return;
  std::string formats;
  for (const Format& format : kFormats)
    formats += fmt::format("{}{}", formats.empty() ? "" : " or ", format.flag);
  throw UsageError(fmt::format("nothing to write: name a file with {}", formats));
}

int run_export(const ExportFlags& flags, const Targets& targets) {
  check_targets(targets, flags.trained);
  const TrainedModel trained = load_trained(flags.trained);
  const InterruptGuard guard;  // a file is written whole or not at all
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (targets[i].empty()) continue;
    if (InterruptGuard::interrupted()) {
      throw Interrupted(fmt::format("{}: {} is not written", InterruptGuard::in_words(), targets[i].string()),
                        InterruptGuard::signal());
    }
    const Remark remark = kFormats[i].write(trained, flags, targets[i]);
    const auto bytes = fs::file_size(targets[i]);
    if (flags.json) {
      Json event = {{"event", "export"}, {"format", kFormats[i].flag + 2}, {"file", targets[i].string()},
                    {"bytes", bytes},    {"model", trained.model.name},    {"tensors", trained.state.size()}};
      event.update(remark.members);
      emit(event);
    } else {
      put(fmt::format("{}: {} bytes, {} tensors of model {}\n", targets[i].string(), bytes,
                      trained.state.size(), trained.model.name));
      if (!remark.line.empty()) put(remark.line + "\n");
    }
  }
  return 0;
}

}  // namespace

Command add_export(CLI::App& program) {
  const auto flags = std::make_shared<ExportFlags>();
  const auto targets = std::make_shared<Targets>();
  CLI::App& command = *program.add_subcommand("export", "Write a trained model for other programs");
  command
      .add_option("--checkpoint", flags->trained.checkpoint,
                  "model.ckpt of Convoy or PyTorch, or safetensors")
      ->required();
  add_model_flag(command, flags->trained.model, kModelOfCheckpoint);
  command.add_option(
      "--dataset", flags->trained.data.dataset,
      "What the model was trained on; without it the run.json beside the checkpoint, else mnist");
  for (std::size_t i = 0; i < kFormats.size(); ++i) {
    command.add_option(kFormats[i].flag, (*targets)[i], kFormats[i].help)
        ->option_text("FILE")
        ->check(not_empty());
  }
  auto* const onnx = command.get_option("--onnx");
  command
      .add_flag("--fold", flags->onnx.fold,
                "Put batch norms into the convolutions in front of them, in the ONNX file")
      ->needs(onnx);
  command
      .add_flag_callback(
          "--no-verify", [flags] { flags->onnx.verify = false; },
          "Do not have onnxruntime compute the ONNX file, where Python has it, and compare the logits")
      ->needs(onnx);
  add_json_flag(command, flags->json);
  set_footer(command,
             "  convoy export --checkpoint runs/convnet-mnist-1/model.ckpt --safetensors model.safetensors\n"
             "  convoy export --checkpoint model.safetensors --pytorch model.pt\n"
             "  convoy export --checkpoint runs/convnet-mnist-1/model.ckpt --onnx model.onnx --fold\n");
  return {&command, [flags, targets] { return run_export(*flags, *targets); }};
}

}  // namespace convoy
