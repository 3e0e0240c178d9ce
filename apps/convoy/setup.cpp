#include "apps/convoy/setup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <set>

#include "apps/convoy/exported_model.h"
#include "apps/convoy/plan_table.h"
#include "apps/convoy/remedy.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/terminal.h"
#include "convoy/builtin.h"
#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "convoy/model_file.h"
#include "convoy/state.h"
#include "engine/backend/checks.h"
#include "engine/data/cifar.h"
#include "engine/data/idx_sets.h"

namespace convoy {
namespace {

constexpr std::array<const char*, 10> kFashionClasses = {
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};
constexpr std::array<const char*, 10> kKmnistClasses = {"o",  "ki", "su", "tsu", "na",
                                                        "ha", "ma", "ya", "re",  "wo"};
constexpr std::array<const char*, 10> kCifarClasses = {"airplane", "automobile", "bird",  "cat",  "deer",
                                                       "dog",      "frog",       "horse", "ship", "truck"};

bool is_known(std::span<const std::string_view> names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

struct RecordedModel {
  Model model;
  bool is_within = false;  // the checkpoint, so that the run in whose folder it lies says nothing
};

/// The model that the checkpoint itself names, else the one of the file beside it.
std::optional<RecordedModel> recorded_model(const std::filesystem::path& checkpoint) {
  if (auto within = model_in_checkpoint(checkpoint)) return RecordedModel{std::move(*within), true};
  const auto beside = model_file_of_run(checkpoint);
  return beside ? std::optional(RecordedModel{load_model(*beside), false}) : std::nullopt;
}

/// How data of one's own are loaded. Flags count more than the model.
LoadOptions load_options(const DataFlags& flags, const WantedImages& wanted, DownloadReport& report) {
  LoadOptions options{.crop = flags.crop || wanted.crop,
                      .split = flags.split,
                      .split_seed = flags.split_seed,
                      .split_if_needed = flags.split_if_needed,
                      .classes = wanted.classes};
  std::vector<std::int64_t> size = flags.image_size;
  if (size.empty()) size.assign(wanted.image.dimensions().begin(), wanted.image.dimensions().end());
  if (size.size() == 3) options.channels = size[0];
  if (size.size() >= 2) {
    options.height = size[size.size() - 2];
    options.width = size.back();
  }
  if (const auto folder = default_plan_cache(); !folder.empty()) options.cache = folder / "pictures";
  options.say = [&report](const std::string& line) {
    report.clear();
    say_note(line);
  };
  options.progress = [&report](std::int64_t done, std::int64_t total) { report.decoding(done, total); };
  return options;
}

/// Throws UsageError for flags of pictures with other data.
void check_picture_flags(const DataFlags& flags, const std::string& dataset) {
  const bool named = is_known(dataset_names(), dataset) || dataset == "idx";
  if (named && !flags.image_size.empty()) {
    throw UsageError(fmt::format(
        "--image-size is for data of one's own; the images of {} are taken as they are", dataset));
  }
  if (flags.crop && dataset != "pictures") {
    throw UsageError(fmt::format("--crop is for pictures; the images of {} are taken as they are", dataset));
  }
}

void override_normalization(Normalization& normalization, const ImageFlags& flags) {
  if (!flags.mean.empty()) normalization.mean = flags.mean;
  if (!flags.std.empty()) normalization.std = flags.std;
}

}  // namespace

BackendChoice make_backend(const DeviceFlags& flags, std::shared_ptr<Communicator> group) {
  DeviceOptions options = flags.options;
  options.group = std::move(group);
  options.say = [told = std::make_shared<std::set<std::string>>()](const std::string& line, Remedy remedy) {
    if (told->insert(line).second) say_note(line + in_flags(remedy));
  };
  BackendChoice choice = make_backend(flags.device, options);
  if (choice.backend->name() != "cuda" && !flags.cuda_flags.empty()) {
    throw UsageError(fmt::format(
        "{} {} the CUDA backend's; this is the {} backend ({})", fmt::join(flags.cuda_flags, ", "),
        flags.cuda_flags.size() == 1 ? "is" : "are", choice.backend->name(), choice.reason));
  }
  if (!flags.given.empty()) choice.reason += fmt::format(", {}", fmt::join(flags.given, ", "));
  return choice;
}

void report_plans(const DeviceFlags& flags, const Backend& backend) {
  if (flags.verbose) std::fputs(plan_table(backend.name(), backend.plans()).c_str(), stderr);
}

DataSearch data_search(const DataFlags& flags) {
  const char* environment = std::getenv("CONVOY_DATA");
  DataSearch search;
  search.explicit_folder = flags.folder;
  search.explicit_name = "--data";
  search.environment_name = "CONVOY_DATA";
  if (environment != nullptr) search.environment = environment;
  search.project_data = "data";
  return search;
}

std::filesystem::path named_folder(const DataFlags& flags) {
  const DataSearch search = data_search(flags);
  return search.explicit_folder.empty() ? search.environment : search.explicit_folder;
}

std::string recognised_dataset(const DataFlags& flags, const std::string& otherwise) {
  const std::filesystem::path folder = named_folder(flags);
  if (folder.empty()) return otherwise;
  // A folder of data sets may have others beside the one that is taken without a name.
  if (const auto found = find_local(otherwise, data_search(flags)); found && found->folder != folder)
    return otherwise;
  return recognise(folder).value_or(otherwise);
}

LoadedData load_data(const DataFlags& flags, bool with_bar, bool allow_stand_in, const WantedImages& wanted) {
  DownloadReport report(with_bar);
  DataSearch search = data_search(flags);
  search.allow_stand_in = allow_stand_in;
  search.say = [&](const std::string& message) { report.say(message); };
  search.progress = [&](const std::string& file, std::int64_t done, std::int64_t total) {
    report.progress(file, done, total);
  };
  DataLocation location = locate(flags.dataset, search);
  check_picture_flags(flags, location.dataset);
  LoadedData data{std::move(location), {}};
  LoadOptions options = load_options(flags, wanted, report);
  options.held_out = [&](const Dataset& test) { data.held_out_crc32 = checksum(test); };
  data.pair = load(data.location.dataset, data.location.folder, options);
  return data;
}

ImageFormat image_format(const std::string& dataset) {
  if (dataset == "cifar10") {
    const Dataset empty = read_cifar10({});  // no images, but their format
    return {empty.image, empty.classes, empty.normalization};
  }
  if (dataset == "cifar100") {
    const Dataset empty = read_cifar100({});
    return {empty.image, empty.classes, empty.normalization};
  }
  if (const IdxSet* const set = find_idx_set(dataset)) return {{1, 28, 28}, set->classes(), {}};
  if (is_known(own_data_names(), dataset)) return {{1, 28, 28}, 10, {}};
  throw UsageError(fmt::format("unknown data set '{}': known are {}, {}", dataset,
                               fmt::join(dataset_names(), ", "), fmt::join(own_data_names(), ", ")));
}

Model resolve_model(const std::string& model, const ImageFormat& format) {
  if (is_known(builtin_model_names(), model)) return builtin_model(model, format.image, format.classes);
  const std::filesystem::path file = model;
  std::error_code ignored;  // a text that cannot be a path is not a file
  const bool is_there =
      std::filesystem::exists(file, ignored) && !std::filesystem::is_directory(file, ignored);
  if (file.extension() == ".json" || is_there) return load_model(file);
  throw UsageError(fmt::format("unknown model '{}': known are {}, or a FILE.json", model,
                               fmt::join(builtin_model_names(), ", ")));
}

std::vector<std::string> class_names(const std::string& dataset, std::int64_t classes) {
  const auto* known = dataset == "fashion-mnist" ? &kFashionClasses
                      : dataset == "kmnist"      ? &kKmnistClasses
                      : dataset == "cifar10"     ? &kCifarClasses
                                                 : nullptr;
  std::vector<std::string> names;
  if (dataset == "cifar100") names = read_cifar100({}).class_names;
  if (names.empty()) names = idx_class_names(dataset);
  names.resize(std::min(names.size(), static_cast<std::size_t>(classes)));
  for (std::int64_t i = std::ssize(names); i < classes; ++i) {
    const auto index = static_cast<std::size_t>(i);
    names.push_back(known != nullptr && index < known->size() ? (*known)[index] : std::to_string(i));
  }
  return names;
}

std::vector<std::string> class_names(const TrainedModel& trained) {
  std::vector<std::string> names = class_names(trained.dataset, class_count(trained.model));
  const Preparation& preparation = trained.preparation;
  if (preparation.dataset != trained.dataset) return names;  // --dataset says what the classes are
  std::copy_n(preparation.classes.begin(), std::min(names.size(), preparation.classes.size()), names.begin());
  return names;
}

std::int64_t trainable_count(const Model& model) {
  std::int64_t count = 0;
  for (const TensorSpec& spec : tensor_specs(model)) count += spec.trainable() ? spec.shape.count() : 0;
  return count;
}

Preparation known_preparation(const std::string& dataset) {
  Preparation known{.dataset = dataset,
                    .normalization = image_format(dataset).normalization,
                    .framing = Framing::fit,
                    .background = Background::mixed,
                    .transposed = false};
  if (dataset == "mnist") known.framing = Framing::mnist;
  if (dataset == "mnist" || dataset == "fashion-mnist" || dataset == "kmnist")
    known.background = Background::dark;
  return known;
}

bool prepare(DatasetPair& pair, const ImageFlags& flags, const Preparation* trained) {
  const bool by_name = pair.train.transposed;
  for (Dataset* half : {&pair.train, &pair.test}) {
    const bool as_trained = trained == nullptr         ? half->transposed
                            : trained->left_transposed ? false
                                                       : half->transposed || trained->transposed;
    const bool turn = flags.transpose.value_or(as_trained);
    if (turn != half->transposed) *half = transpose(std::move(*half));
    if (trained != nullptr) half->normalization = trained->normalization;
    override_normalization(half->normalization, flags);
    check_normalization(half->normalization, half->image, half->name);
  }
  return by_name && !pair.train.transposed;
}

std::optional<Preparation> recorded_preparation(const std::filesystem::path& checkpoint) {
  const auto recorded = recorded_model(checkpoint);
  if (recorded && (recorded->is_within || recorded->model.preparation)) return recorded->model.preparation;
  const auto of_run = record_of_run(checkpoint);
  return of_run ? of_run->preparation : std::nullopt;
}

TrainedModel load_trained(const CheckpointFlags& flags) {
  TrainedModel trained;
  trained.state = load_checkpoint(flags.checkpoint, say_note);
  const auto recorded = flags.model.empty() ? recorded_model(flags.checkpoint) : std::nullopt;
  if (recorded) trained.model = recorded->model;
  const auto& of_model = trained.model.preparation;
  const bool complete = of_model && !flags.data.dataset.empty();  // then run.json may be whatever it is
  const bool is_within = recorded && recorded->is_within;
  const auto of_run = complete || is_within ? std::nullopt : record_of_run(flags.checkpoint);
  trained.dataset = !flags.data.dataset.empty()              ? flags.data.dataset
                    : of_run && !of_run->dataset.empty()     ? of_run->dataset
                    : of_model && !of_model->dataset.empty() ? of_model->dataset
                                                             : "mnist";
  if (flags.data.dataset.empty() && of_run && of_run->dataset.empty() && !of_model) {
    throw Error(fmt::format("{}: not a run.json of Convoy's; name the data set with --dataset",
                            (flags.checkpoint.parent_path() / "run.json").string()));
  }
  if (!recorded) {
    trained.model =
        resolve_model(flags.model.empty() ? "convnet" : flags.model, image_format(trained.dataset));
  }
  trained.preparation_is_recorded = of_model || (of_run && of_run->preparation);
  trained.preparation = of_model                        ? *of_model
                        : of_run && of_run->preparation ? *of_run->preparation
                                                        : known_preparation(trained.dataset);
  override_normalization(trained.preparation.normalization, flags.images);
  check_normalization(trained.preparation.normalization, trained.model.input, "the model's images");
  trained.state = match_state(trained.model, std::move(trained.state), flags.checkpoint.string(), say_note);
  return trained;
}

}  // namespace convoy
