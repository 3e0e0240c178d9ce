/// @file
/// The devices that this build and this machine have, and the choice among them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "convoy/error.h"

namespace convoy {

/// A device with the libraries that compute on it. Made by make_backend and passed to Trainer, BatchTrainer
/// or Inference, which compile a model for it.
class Backend;

class Communicator;  // convoy/process_group.h

/// In which precision a device computes. The CPU has fp32 and, with instructions for it, bf16.
enum class Precision {
  fp32,  ///< fp32 throughout, without the TF32 that cuDNN allows by default
  tf32,  ///< as PyTorch by default: convolutions round their factors to TF32 (10 bits), linear layers do not
  bf16,  ///< activations and their gradients in bf16, parameters and statistics in fp32
};

/// "fp32", "tf32" or "bf16".
constexpr const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::tf32:
      return "tf32";
    case Precision::bf16:
      return "bf16";
    case Precision::fp32:
      break;
  }
  return "fp32";
}

/// How a device works. All but the first four are CUDA's; other backends ignore them.
struct DeviceOptions {
  /// Of products, and of activations in memory. Empty: tf32 on a GPU that has it (sm_80 and newer), else
  /// fp32.
  std::optional<Precision> precision;
  /// Make one operation of a batch norm with the ReLU and the max pool behind it, which keeps nothing of the
  /// size between them. Empty: yes, unless `autotune` finds the other way faster on a GPU.
  std::optional<bool> fuse;
  /// The processes that train together, as join_group makes it. Empty: this process trains alone.
  std::shared_ptr<Communicator> group;
  /// In a group, let a batch norm take its statistics over the batches of all its processes, as
  /// torch.nn.SyncBatchNorm. Without it each process normalises by its own batch's.
  bool sync_batch_norm = false;
  /// Take only algorithms that give the same bits in every run. As torch.use_deterministic_algorithms.
  bool deterministic = true;
  bool use_cuda_graphs = true;         ///< launch steps as CUDA graphs; false: kernel by kernel
  std::int64_t steps_per_launch = 20;  ///< at most that many steps run in one CUDA graph; at least 1
  bool autotune = false;               ///< time cuDNN's plans for each layer on the GPU and keep the fastest
  /// At most that many bytes of a data set's images lie on the GPU; of more, they are streamed there block by
  /// block while it trains, to the same bits. The host then holds them twice. Empty: half
  /// of what is free when the data set is uploaded, and of more, 2 GiB at a time.
  std::optional<std::int64_t> data_memory;
  /// Folder in which cuDNN's plans are kept, so that the next start need not make them again. Empty: nowhere.
  std::filesystem::path plan_cache;
  /// Called with one line about each fallback: a step that runs without a CUDA graph, a cache that is not
  /// used. The remedy, if any, is what would avoid it.
  std::function<void(const std::string& line, Remedy remedy)> say;
};

/// The user's folder for DeviceOptions::plan_cache: $CONVOY_CACHE, else $XDG_CACHE_HOME/convoy, else
/// ~/.cache/convoy. Empty if CONVOY_CACHE is "none" or there is no home.
std::filesystem::path default_plan_cache();

/// One of the backends, and whether it can be used here.
struct BackendStatus {
  std::string name;     ///< for make_backend: "cuda", "cpu", "reference"
  bool usable = false;  ///< false: make_backend throws Error
  std::string detail;   ///< the device in words, or why it cannot be used and what to do about it
};

/// Every backend, in the order in which "auto" prefers them. Tries each device, which takes a moment for
/// CUDA.
std::vector<BackendStatus> backend_statuses();

/// The backend that make_backend made, and why that one.
struct BackendChoice {
  std::shared_ptr<Backend> backend;  ///< shared, so that who holds it need not know what it is
  std::string reason;                ///< one line: "cpu, because there is no CUDA in this build"
};

/// Makes the backend of that name: "cuda", "cpu" or "reference". "auto" takes CUDA if there is a usable GPU,
/// else the CPU, else the reference. Throws UsageError for an unknown name and for a precision that the
/// backend does not know, Error if the device cannot be used, or lacks the precision.
BackendChoice make_backend(const std::string& name, const DeviceOptions& options = {});

/// The name by which make_backend makes it: "cuda", "cpu" or "reference".
std::string name_of(const Backend& backend);

/// The device in words: "AMD EPYC, 2 threads, oneDNN 2.6.3".
std::string description_of(const Backend& backend);

}  // namespace convoy
