// Flags that several subcommands share, and what they mean.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/backend/cuda/cuda.h"

namespace convoy {

/// The end of every help text.
inline constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 failed at run time, 2 wrong usage, 130 interrupted.";

/// --dataset and --data.
struct DataFlags {
  std::string dataset;  // empty: the one the checkpoint was trained on, else mnist
  std::filesystem::path folder;
};

/// --device, and how the CUDA backend is to work.
struct DeviceFlags {
  std::string device = "auto";
  CudaOptions cuda;
  std::vector<std::string> cuda_flags;  // those given that change `cuda`: "--precision bf16"
  bool verbose = false;
};

void add_data_flags(CLI::App& command, DataFlags& flags);
/// `flags` must outlive `command`. Plans are kept in default_plan_cache() unless a flag says otherwise.
void add_device_flags(CLI::App& command, DeviceFlags& flags);
void add_json_flag(CLI::App& command, bool& json);

/// --model, with what happens when it is not given.
void add_model_flag(CLI::App& command, std::string& model, const std::string& otherwise);

/// Accepts whole numbers from `least` upwards.
CLI::Validator at_least(std::int64_t least);

/// Refuses an empty text: a shell variable that is not set, most likely.
CLI::Validator not_empty();

/// Accepts finite numbers above 0.
CLI::Validator positive();

/// Sets examples and exit codes under the help text.
void set_footer(CLI::App& command, const std::string& examples);

}  // namespace convoy
