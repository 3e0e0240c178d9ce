// convoy predict: says what is on pictures.
#include <fmt/format.h>
#include <stb_image_write.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>

#include "apps/convoy/augmentation_flags.h"
#include "apps/convoy/classification.h"
#include "apps/convoy/commands.h"
#include "apps/convoy/model_input.h"
#include "apps/convoy/picture_list.h"
#include "apps/convoy/prediction.h"
#include "apps/convoy/setup.h"
#include "apps/convoy/styled_text.h"
#include "apps/convoy/terminal.h"
#include "apps/convoy/write_target.h"
#include "convoy/error.h"
#include "convoy/inference.h"
#include "engine/core/atomic_file.h"
#include "engine/data/pictures/picture_file.h"
#include "engine/model/preparation_json.h"

namespace convoy {
namespace {

// Pictures that the model sees at a time.
constexpr std::size_t kBatch = 100;

struct PredictFlags {
  CheckpointFlags trained;
  PictureSources pictures;
  std::string framing = "auto";
  std::string invert = "auto";
  std::filesystem::path save_input;
  TestTimeAugmentation views;
  DeviceFlags device;
  bool json = false;
  std::filesystem::path csv;  // "-" is standard output; empty: none
  bool show = false;

  bool csv_to_output() const { return csv == "-"; }
};

/// Some pictures that could be read, as a data set whose labels are all 0.
struct Pictures {
  std::vector<std::string> files;
  std::vector<std::string> how;  // each was prepared
  Dataset dataset;
};

PictureOptions options_of(const PredictFlags& flags, const Preparation& preparation) {
  PictureOptions options;
  const auto framings = framing_names();
  const auto framing = std::ranges::find(framings, flags.framing);
  if (framing != framings.end()) options.framing = static_cast<Framing>(framing - framings.begin());
  if (flags.invert != "auto") options.invert = flags.invert == "yes";
  options.transpose = flags.trained.images.transpose.value_or(false);
  if (options.transpose && preparation.transposed) {
    say("note: the model saw upright images, for its training data were transposed; so pictures are not");
    options.transpose = false;
  }
  return options;
}

void save_png(const std::filesystem::path& file, const std::vector<std::uint8_t>& planes,
              const Shape& image) {
  const auto channels = static_cast<std::size_t>(image[0]), count = planes.size() / channels;
  std::vector<std::uint8_t> pixels;
  for (std::size_t i = 0; i < planes.size(); ++i)
    pixels.push_back(planes[i % channels * count + i / channels]);
  std::string png;
  const auto append = [](void* to, void* bytes, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
  };
  const auto width = static_cast<int>(image[2]), height = static_cast<int>(image[1]);
  stbi_write_png_to_func(append, &png, width, height, static_cast<int>(channels), pixels.data(), 0);
  write_atomically(file, png);
}

PictureBytes read_bytes(const std::string& file) {
  return file == kStandardInput ? read_picture_from_standard_input() : read_picture_bytes(file);
}

/// Predicts pictures, a batch at a time, so that memory does not grow with their number.
class Predictor {
 public:
  Predictor(const PredictFlags& flags, const TrainedModel& trained, Backend& backend)
      : flags_(flags),
        trained_(trained),
        backend_(backend),
        options_(options_of(flags, trained.preparation)),
        classes_(class_names(trained)) {
    start_batch();
  }

  /// Writes what the model says of each picture, in their order, to standard output and to `table`, if there
  /// is one. A picture that cannot be read is reported and left out. Returns whether there was none of these.
  bool run(const std::vector<std::string>& files, std::ostream* table) {
    if (table != nullptr) *table << csv_header(classes_);
    if (flags_.csv_to_output()) put_data(csv_header(classes_));
    bool all = true;
    for (const std::string& file : files) {
      all = read(file) && all;
      if (pictures_.files.size() == kBatch) predict(table);
      if (std::ferror(stdout) != 0) throw Error("standard output cannot be written");
    }
    predict(table);
    return all;
  }

 private:
  void start_batch() {
    pictures_ = {};
    Dataset& dataset = pictures_.dataset;
    dataset.name = "pictures";
    dataset.image = trained_.model.input;
    dataset.classes = class_count(trained_.model);
    dataset.normalization = trained_.preparation.normalization;
  }

  bool read(const std::string& file) {
    try {
      const ModelInput input =
          model_input(read_bytes(file), trained_.model.input, trained_.preparation, options_);
      if (!flags_.save_input.empty()) save_png(flags_.save_input, input.pixels, trained_.model.input);
      if (flags_.device.verbose && !input.left_out.empty()) {
        say(fmt::format("{}: left out: {}", file, input.left_out));
      }
      if (flags_.device.verbose && !input.note.empty()) say(fmt::format("{}: {}", file, input.note));
      auto& pixels = pictures_.dataset.pixels;
      pixels.insert(pixels.end(), input.pixels.begin(), input.pixels.end());
      pictures_.dataset.labels.push_back(0);
      pictures_.files.push_back(file);
      pictures_.how.push_back(input.how);
      return true;
    } catch (const UsageError&) {
      throw;
    } catch (const Error& error) {
      say_error(error.what());
      return false;
    }
  }

  void predict(std::ostream* table) {
    const Dataset& dataset = pictures_.dataset;
    if (dataset.labels.empty()) return;
    if (!inference_) inference_.emplace(backend_, trained_.model, trained_.state, dataset.count());
    const std::vector<double> logits = inference_->predict(dataset, flags_.views);
    const auto classes = static_cast<std::size_t>(dataset.classes);
    const auto size = static_cast<std::size_t>(dataset.image.count());
    for (std::size_t i = 0; i < pictures_.files.size(); ++i) {
      const auto row = std::span(logits).subspan(i * classes, classes);
      const Prediction prediction = {pictures_.files[i], pictures_.how[i],
                                     std::span(dataset.pixels).subspan(i * size, size), row, softmax(row)};
      if (table != nullptr) *table << csv_line(prediction, classes_);
      print(prediction);
    }
    start_batch();
  }

  void print(const Prediction& prediction) const {
    if (flags_.csv_to_output()) {
      put_data(csv_line(prediction, classes_));
    } else if (flags_.json) {
      emit(json_of(prediction, classes_));
    } else if (flags_.show) {
      put(drawing_of(prediction, classes_, trained_.model.input));
    } else {
      put(text_of(prediction, classes_));
    }
  }

  const PredictFlags& flags_;
  const TrainedModel& trained_;
  Backend& backend_;
  PictureOptions options_;
  std::vector<std::string> classes_;
  Pictures pictures_;
  std::optional<Inference> inference_;  // made for the first batch, which is as large as any
};

void check_usage(const PredictFlags& flags, const PictureList& list) {
  if (!flags.save_input.empty() && list.files.size() > 1) {
    throw UsageError(fmt::format("--save-input takes one picture at a time, not {}", list.files.size()));
  }
  if (flags.csv_to_output() && (flags.json || flags.show)) {
    throw UsageError(
        fmt::format("--csv - and {} would both write to standard output; --csv FILE writes a file",
                    flags.json ? "--json" : "--show"));
  }
}

/// Throws UsageError if a file that is to be written is one that is read, or of a run. A table whose name was
/// forgotten has that of the first picture.
void check_targets(const PredictFlags& flags, const PictureList& list) {
  const bool has_table = !flags.csv.empty() && !flags.csv_to_output();
  if (has_table && has_picture_name(flags.csv)) {
    throw UsageError(
        fmt::format("--csv {}: by its ending that is a picture; name the table before the pictures, as --csv "
                    "answers.csv",
                    flags.csv.string()));
  }
  std::vector<NeededFile> read = files_read_for(flags.trained);
  read.push_back({flags.pictures.list, "the list of the pictures"});
  for (const std::string& file : list.files) read.push_back({file, "one of the pictures"});
  if (has_table) refuse_to_harm(flags.csv, read);
  if (flags.save_input.empty()) return;
  refuse_to_harm(flags.save_input, read);
  if (has_table && is_same_target(flags.save_input, flags.csv)) {
    throw UsageError(fmt::format("{} is named for --csv and --save-input", flags.csv.string()));
  }
}

int run_predict(const PredictFlags& flags) {
  const PictureList list = list_pictures(flags.pictures);
  check_usage(flags, list);
  check_targets(flags, list);
  if (list.files.empty()) return 1;
  const BackendChoice device = make_backend(flags.device);
  const TrainedModel trained = load_trained(flags.trained);
  Predictor predictor(flags, trained, *device.backend);
  bool all = false;
  if (flags.csv.empty() || flags.csv_to_output()) {
    all = predictor.run(list.files, nullptr);
  } else {
    write_atomically(flags.csv, [&](const std::filesystem::path& temporary) {
      std::ofstream table(temporary, std::ios::binary);
      all = predictor.run(list.files, &table);
      if (!table.flush()) throw Error(fmt::format("cannot write {}: is the disk full?", flags.csv.string()));
    });
  }
  report_plans(flags.device, *device.backend);
  return all && list.whole ? 0 : 1;
}

void add_picture_flags(CLI::App& command, PictureSources& pictures) {
  command
      .add_option("images", pictures.named,
                  "Pictures of any size and colour (PNG, JPEG, BMP, ...), folders with such, or - for a "
                  "picture on standard input")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->option_text("IMAGE ...");
  command
      .add_option("--files-from", pictures.list,
                  "Take names of pictures and folders from a file, too, one a line; - is standard input")
      ->option_text("FILE")
      ->check(not_empty());
}

void add_output_flags(CLI::App& command, PredictFlags& flags) {
  add_json_flag(command, flags.json);
  command
      .add_option("--csv", flags.csv,
                  "Write a table: image, prediction, its probability, those of all classes; - writes it to "
                  "standard output, and nothing else there")
      ->option_text("FILE")
      ->check(not_empty());
  command
      .add_flag("--show", flags.show,
                "Draw each picture as the model sees it, and the probabilities as bars: in colour on a "
                "terminal that has it and UTF-8, else by characters")
      ->excludes(command.get_option("--json"));
}

}  // namespace

Command add_predict(CLI::App& program) {
  const auto flags = std::make_shared<PredictFlags>();
  CLI::App& command = *program.add_subcommand("predict", "Name what is on pictures");
  add_picture_flags(command, flags->pictures);
  command
      .add_option("--checkpoint", flags->trained.checkpoint,
                  "model.ckpt of Convoy or PyTorch, or safetensors")
      ->required();
  add_model_flag(command, flags->trained.model, kModelOfCheckpoint);
  command.add_option("--dataset", flags->trained.data.dataset,
                     "What the model was trained on: names the classes; without it the run.json beside the "
                     "checkpoint, else mnist");
  command
      .add_option("--framing", flags->framing,
                  "mnist (cut out what is drawn, scale and centre it as MNIST did), fit (scale the whole "
                  "picture), crop (cut it to the model's proportions, then scale it), none (take only "
                  "pictures of the model's size) or auto (as the training data were "
                  "made; a picture of the model's size as it is)")
      ->check(CLI::IsMember({"auto", "mnist", "fit", "crop", "none"}))
      ->capture_default_str();
  command
      .add_option("--invert", flags->invert,
                  "Make the negative: yes, no, or auto (if the background is not that of the training data)")
      ->check(CLI::IsMember({"auto", "yes", "no"}))
      ->capture_default_str();
  command.add_option("--save-input", flags->save_input, "Write what the model sees of the picture as PNG")
      ->option_text("FILE")
      ->check(not_empty());
  add_image_flags(command, flags->trained.images,
                  "Exchange rows and columns of the picture, for a model that was trained elsewhere on "
                  "EMNIST's files as they are");
  add_tta_flag(command, flags->views);
  add_device_flags(command, flags->device);
  add_output_flags(command, *flags);
  set_footer(command,
             "  convoy predict --checkpoint runs/convnet-mnist-1/model.ckpt digit.png photo.jpg\n"
             "  convoy predict --checkpoint runs/convnet-mnist-1/model.ckpt --verbose --save-input seen.png "
             "photo.jpg\n"
             "  convoy predict --checkpoint runs/convnet-mnist-1/model.ckpt --csv answers.csv scans/\n"
             "  convoy predict --checkpoint runs/convnet-mnist-1/model.ckpt --show - < digit.png\n"
             "  convoy predict --checkpoint pytorch.pt --mean 0.1307 --std 0.3081 digit.png\n");
  return {&command, [flags] { return run_predict(*flags); }};
}

}  // namespace convoy
