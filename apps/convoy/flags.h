// Flags that several subcommands share, and checks of their values.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "convoy/device.h"

namespace convoy {

/// The end of every help text.
inline constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 failed at run time, 2 wrong usage, 128 + N ended by signal N (130 by Ctrl-C).";

/// Which model a checkpoint is of without --model.
inline constexpr const char* kModelOfCheckpoint =
    "what a safetensors file says of itself, else the model.json beside the checkpoint, else convnet";

/// What --transpose does where data sets are read.
inline constexpr const char* kTransposeFiles =
    "Exchange rows and columns of the files' images, as EMNIST needs; without it as the model was trained, "
    "and "
    "for files with EMNIST's names";

/// --dataset and --data, and what data of one's own need beside.
struct DataFlags {
  std::string dataset;  // if empty: what the checkpoint was trained on, else mnist
  std::filesystem::path folder;
  std::vector<std::int64_t> image_size = {};  // [H, W] or [C, H, W]; empty: as the model or the data have it
  bool crop = false;
  double split = 0.0;  // 0: the data have a test half
  std::uint64_t split_seed = 1;
  bool split_if_needed = false;  // the share is that of a training: data with a test half keep it
};

/// --mean, --std and --transpose: how the images of the data become the model's input. What is not given is
/// as the model's file says, else the data set's.
struct ImageFlags {
  std::vector<float> mean;
  std::vector<float> std;
  std::optional<bool> transpose;
};

/// --device, --verbose, and what steers a backend.
struct DeviceFlags {
  std::string device = "auto";
  DeviceOptions options;
  std::vector<std::string> given;       // as given, if they change `options`: "--precision bf16"
  std::vector<std::string> cuda_flags;  // those of them that only the CUDA backend has
  bool verbose = false;
};

void add_data_flags(CLI::App& command, DataFlags& flags);
/// --split and --split-seed.
void add_split_flags(CLI::App& command, DataFlags& flags);
/// --image-size and --crop.
void add_picture_flags(CLI::App& command, DataFlags& flags);
/// `transpose` is what the help text says of that flag.
void add_image_flags(CLI::App& command, ImageFlags& flags, const std::string& transpose);
/// `flags` must outlive `command`. Without a flag for it, the plan cache is default_plan_cache().
void add_device_flags(CLI::App& command, DeviceFlags& flags);
void add_json_flag(CLI::App& command, bool& json);

/// --model. `otherwise` says, in the help text, what is used without it.
void add_model_flag(CLI::App& command, std::string& model, const std::string& otherwise);

/// What "500", "500steps" and "2 epochs" say.
struct StepsOrEpochs {
  std::int64_t count = 0;
  bool epochs = false;
};

/// Reads the value of `flag`. Throws CLI::ValidationError for anything else, and for more than `most_digits`.
StepsOrEpochs steps_or_epochs(const std::string& flag, const std::string& text, std::size_t most_digits);

/// The bytes that "4096", "512MB" and "1.5 GiB" say; 1 KB is 1024 bytes, as 1 KiB. Throws
/// CLI::ValidationError for anything else, and for more than 2^60.
std::int64_t bytes_of(const std::string& flag, const std::string& text);

/// Accepts whole numbers from `least` upwards.
CLI::Validator at_least(std::int64_t least);

/// Refuses an empty text, which most likely comes from a shell variable that is not set.
CLI::Validator not_empty();

/// Accepts finite numbers.
CLI::Validator finite();

/// Accepts numbers above 0 and below 1.
CLI::Validator share();

/// Accepts finite numbers above 0.
CLI::Validator positive();

/// Adds examples and the exit codes to the end of the help text.
void set_footer(CLI::App& command, const std::string& examples);

}  // namespace convoy
