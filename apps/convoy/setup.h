// Makes data, model and backend from the flags, for all subcommands.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "apps/convoy/flags.h"
#include "convoy/catalog.h"
#include "convoy/device.h"
#include "convoy/model.h"
#include "engine/backend/backend.h"

namespace convoy {

/// The backend of the device that the flags name. Its notes go to standard error, each once. Throws
/// UsageError for an unknown name, or for CUDA flags with another backend. Throws Error if the device cannot
/// be used.
BackendChoice make_backend(const DeviceFlags& flags, std::shared_ptr<Communicator> group = nullptr);

/// With --verbose: the table of plans, on standard error. To be called behind Backend::prepare.
void report_plans(const DeviceFlags& flags, const Backend& backend);

/// The places to look for data, as `flags` and the environment name them.
DataSearch data_search(const DataFlags& flags);

struct LoadedData {
  DataLocation location;
  DatasetPair pair;
  std::optional<std::uint32_t> held_out_crc32 = {};  // of the test half, if --split made it
};

/// What is known of the images before they are loaded: that is what pictures are made into.
struct WantedImages {
  Shape image = {};                       // [C, H, W] of the model; no dimensions: not known
  std::vector<std::string> classes = {};  // that the model was trained on; empty: not known
  bool crop = false;                      // as the model's training images were
};

/// The folder that --data names, else CONVOY_DATA; empty if neither does.
std::filesystem::path named_folder(const DataFlags& flags);

/// What lies in that folder, if that can be told; else `otherwise`. Throws UsageError for several named data
/// sets without MNIST.
std::string recognised_dataset(const DataFlags& flags, const std::string& otherwise);

/// Finds or downloads the data set, and loads it. Download and decoding are reported on standard error, with
/// a progress bar if `with_bar`. `allow_stand_in` lets Fashion-MNIST stand in for MNIST. It must be false for
/// a model that is trained already, which would be tested on images of another kind. Throws UsageError for an
/// unknown name, Error if the data cannot be had or read.
LoadedData load_data(const DataFlags& flags, bool with_bar, bool allow_stand_in,
                     const WantedImages& wanted = {});

/// The format of a data set's images.
struct ImageFormat {
  Shape image;  // [C, H, W]
  std::int64_t classes = 0;
  Normalization normalization;
};

/// The format that a data set has, without loading it. For data of one's own that of MNIST. Throws UsageError
/// for an unknown name.
ImageFormat image_format(const std::string& dataset);

/// A built-in model by its name, or a model file by its path. Throws UsageError if it is neither.
Model resolve_model(const std::string& model, const ImageFormat& format);

/// The names of a data set's classes, such as "Sneaker" and "airplane". MNIST's and unknown ones are numbers:
/// "7".
std::vector<std::string> class_names(const std::string& dataset, std::int64_t classes);

/// How many numbers of the model are trained.
std::int64_t trainable_count(const Model& model);

/// The preparation of a data set that is known by name, for a model of which nothing else is known.
Preparation known_preparation(const std::string& dataset);

/// Turns the images as the flags say, or as `trained` was made (null: as the files need), and sets the
/// normalisation in the same way. Throws UsageError for a normalisation that does not fit the channels.
/// True if that leaves images transposed that the files' names say are.
bool prepare(DatasetPair& pair, const ImageFlags& flags, const Preparation* trained);

/// A checkpoint with the model it belongs to.
struct TrainedModel {
  Model model;
  StateDict state;
  std::string dataset;                   // what it was trained on, or mnist if that is not known
  Preparation preparation;               // of its training images
  bool preparation_is_recorded = false;  // by a file, or else taken for what its data set usually has
};

/// The names of the classes that it tells apart: those of the data that it was trained on.
std::vector<std::string> class_names(const TrainedModel& trained);

/// How the training images of a checkpoint were prepared, if it or a file beside it says so.
std::optional<Preparation> recorded_preparation(const std::filesystem::path& checkpoint);

/// Flags of the subcommands that use a checkpoint.
struct CheckpointFlags {
  std::filesystem::path checkpoint;
  std::string model;
  DataFlags data;
  ImageFlags images;
};

/// Reads the checkpoint. The model is that of --model, else the one that a safetensors file keeps, else
/// of the model.json beside the checkpoint, else the ConvNet. The data set is that of --dataset, else of the
/// run.json beside the checkpoint, else that of the model's file, else mnist. The preparation is that of the
/// model's file, else of run.json, else what is known of the data set, with --mean and --std. A file that
/// keeps a model itself does not ask run.json. Throws Error if a file cannot be read, or if the checkpoint is
/// that of another model.
TrainedModel load_trained(const CheckpointFlags& flags);

}  // namespace convoy
