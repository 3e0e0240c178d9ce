#include "apps/convoy/train_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "apps/convoy/augmentation_flags.h"
#include "apps/convoy/averaging.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/optimizer_flags.h"
#include "convoy/error.h"

namespace convoy {
namespace {

/// The value of --save-every.
void take_save_every(const std::string& text, TrainFlags& flags) {
  constexpr std::size_t kMostDigits = 15;
  const StepsOrEpochs every = steps_or_epochs("--save-every", text, kMostDigits);
  flags.options.save_every = every.epochs ? 0 : every.count;
  flags.save.epochs = every.epochs ? every.count : 0;
  flags.save.steps = flags.options.save_every;
  flags.save.asked_for = true;
}

/// What is kept of a training, where, and how it goes on.
void add_saving_flags(CLI::App& command, TrainFlags& flags) {
  command
      .add_option_function<std::string>(
          "--save-every", [&flags](const std::string& text) { take_save_every(text, flags); },
          "Save the training's state every N steps or epochs (500, 2epochs), whatever that costs; 0: only if "
          "it is interrupted. Without it after every epoch, unless the disk is still busy with the last")
      ->option_text("N[steps|epochs]");
  command.add_option("--keep", flags.save.keep, "How many of the newest states stay; 0: all")
      ->check(at_least(0))
      ->capture_default_str();
  command
      .add_option("--validation", flags.validation,
                  "Hold the last N training images out, and tell the accuracy on them after every epoch")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_flag("--keep-best", flags.keep_best,
                   "Keep the model of the epoch with the best accuracy on the images of --validation, as "
                   "best.ckpt");
  CLI::Option* init =
      command.add_option("--init", flags.init, "Start from a checkpoint, Convoy's or PyTorch's")
          ->check(not_empty());
  CLI::Option* out =
      command.add_option("--out", flags.out, "Folder of the run; without it runs/MODEL-DATASET-SEED")
          ->check(not_empty());
  CLI::Option* resume =
      command
          .add_option("--resume", flags.resume,
                      "Go on with the training of that folder, with its flags, to the same bits as if it had "
                      "never stopped")
          ->option_text("FOLDER")
          ->check(not_empty());
  resume->excludes(out)->excludes(init);
  CLI::Option* overwrite =
      command.add_flag("--overwrite", flags.overwrite, "Replace the training that the folder holds");
  resume->excludes(overwrite);
  command
      .add_flag("--allow-changes", flags.allow_changes,
                "With --resume: go on with other flags or other data than before")
      ->needs(resume);
}

}  // namespace

void add_train_flags(CLI::App& command, TrainFlags& flags) {
  TrainOptions& options = flags.options;
  add_data_flags(command, flags.data);
  add_split_flags(command, flags.data);
  add_picture_flags(command, flags.data);
  add_image_flags(command, flags.images, kTransposeFiles);
  add_device_flags(command, flags.device);
  add_model_flag(command, flags.model, "convnet");
  for (const char* flag : {"--dataset", "--model"}) command.get_option(flag)->capture_default_str();
  command.add_option("--epochs", options.epochs, "Passes over the training images")
      ->check(at_least(1))
      ->capture_default_str();
  command
      .add_option("--batch-size", options.batch_size, "Images a step; of each process, where several train")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_flag("--sync-bn", flags.device.options.sync_batch_norm,
                   "Where several processes train: batch norm over the batches of all of them (CPU)");
  add_optimizer_flags(command, flags.optimizer);
  add_loss_flags(command, options);
  add_schedule_flags(command, flags.schedule);
  add_augmentation_flags(command, options.augmentation);
  command.add_option("--seed", options.seed, "Seed of the weights, the order of images and dropout")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_option("--log-every", options.log_every, "Steps between two lines of loss; 0: none")
      ->check(at_least(0))
      ->capture_default_str();
  command
      .add_option("--profile", options.profile_steps,
                  "Profile N steps: a table of times by layer, and profile.json for chrome://tracing")
      ->check(at_least(0));
  command.add_flag("--check-finite", options.check_finite,
                   "Stop with the first layer and step that made a NaN or infinity (on a GPU a fused ReLU "
                   "may hide a NaN for a while)");
  add_averaging_flags(command, options);
  add_saving_flags(command, flags);
  add_early_end_flags(command, flags.early_end, options);
  add_config_flags(command, flags.config);
  command.add_option("--limit-train", flags.limit_train, "Use only the first N training images; 0: all")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_option("--limit-test", flags.limit_test, "Use only the first N test images; 0: all")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_flag("--no-report", flags.no_report, "Leave out report.html, the page about the run");
  command.add_flag(
      "--tensorboard", flags.tensorboard,
      "Also write the folder's tensorboard/: scalars, histograms of weights and gradients behind "
      "each epoch, images, the graph and the options");
  CLI::Option* summary =
      command.add_flag("--summary", flags.summary, "Print the model's layers, shapes and FLOPs, and stop");
  add_json_flag(command, flags.json);
  add_seed_flags(command, flags.seeds);
  summary->excludes("--json");
  set_footer(command,
             "  convoy train\n"
             "  convoy train --dataset cifar10 --model resnet9 --epochs 10 --shift 4 --flip\n"
             "  convoy train --optimizer sgd --lr 0.05 --momentum 0.9\n"
             "  convoy train --schedule cosine --warmup 1epoch\n"
             "  convoy train --model my_model.json --data my_idx_files --dataset idx\n"
             "  convoy train --data pets --image-size 64x64 --split 0.2\n"
             "  convoy train --profile 20\n"
             "  convoy train --init pytorch.pt --lr 1e-4 --out runs/tuned\n"
             "  convoy train --resume runs/convnet-mnist-1\n"
             "  convoy train --seeds 1-10 --stop-at 99\n"
             "  convoy train --recipe classic --epochs 10\n"
             "  convoy train --config runs/convnet-mnist-1/config.toml --out runs/again\n"
             "  convoy train --save-every 500 --keep 5 --validation 5000 --keep-best\n");
}

}  // namespace convoy
