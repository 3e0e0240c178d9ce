// From flags to what the engine takes: data, model, backend. Shared by the subcommands that need them.
#pragma once

#include <filesystem>
#include <string>

#include "apps/convoy/flags.h"
#include "engine/backend/registry.h"
#include "engine/data/catalog.h"
#include "engine/model/model.h"

namespace convoy {

/// The device asked for; its notes go to standard error, each once. Throws UsageError for an unknown name or
/// for CUDA flags with another backend, Error if the device cannot be used.
BackendChoice make_backend(const DeviceFlags& flags);

/// With --verbose: the table of plans, on standard error. To be called behind Backend::prepare.
void report_plans(const DeviceFlags& flags, const Backend& backend);

/// Where `flags` and the environment say that data may be.
DataSearch data_search(const DataFlags& flags);

struct LoadedData {
  DataLocation location;
  DatasetPair pair;
};

/// Finds (or downloads) and loads the data set. Throws UsageError for an unknown name, Error if the data
/// cannot be had or read. A download tells of itself, with a bar if `with_bar`. Fashion-MNIST may stand in
/// for MNIST only where a model starts from nothing: a trained one would be judged by pictures it has never
/// seen.
LoadedData load_data(const DataFlags& flags, bool with_bar, bool allow_stand_in);

/// What a data set's images look like, without loading it.
struct ImageFormat {
  Shape image;  // [C, H, W]
  std::int64_t classes = 0;
  Normalization normalization;
};

/// Of a data set known by name; MNIST's for "idx". Throws UsageError for an unknown name.
ImageFormat image_format(const std::string& dataset);

/// A built-in model by name, or a model file by its path. Throws UsageError for what is neither.
Model resolve_model(const std::string& model, const ImageFormat& format);

/// Class names of a data set, numbers where it has none: "Sneaker", "airplane", "7".
std::vector<std::string> class_names(const std::string& dataset, std::int64_t classes);

/// A checkpoint with the model it belongs to.
struct TrainedModel {
  Model model;
  StateDict state;
  std::string dataset;  // what it was trained on, as far as it is known, else mnist
};

/// Flags of the subcommands that use a checkpoint.
struct CheckpointFlags {
  std::filesystem::path checkpoint;
  std::string model;
  DataFlags data;
};

/// Reads the checkpoint. The model is --model's, else that of the model.json beside the checkpoint, else the
/// ConvNet; the data set --dataset's, else that of the run.json beside it, else mnist. Throws Error if a file
/// cannot be read or the checkpoint is another model's.
TrainedModel load_trained(const CheckpointFlags& flags);

}  // namespace convoy
