#include "apps/convoy/onnx_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <span>

#include "apps/convoy/child_process.h"
#include "apps/convoy/interrupt.h"
#include "apps/convoy/json_values.h"
#include "apps/convoy/scratch_folder.h"
#include "convoy/error.h"
#include "convoy/fold.h"
#include "convoy/inference.h"
#include "convoy/onnx.h"
#include "convoy/state.h"
#include "engine/core/atomic_file.h"
#include "engine/core/philox.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// Importing onnxruntime from a slow disk, and eight images by a large model, take some seconds.
constexpr std::chrono::seconds kVerifyLimit{120};

// An empty entry of sys.path would make it import what lies in the working folder.
constexpr const char* kScript = R"(
import sys
sys.path = [folder for folder in sys.path if folder]
import json
def tell(**said):
    print("\n" + json.dumps(said))
    sys.exit()
try:
    import numpy, onnxruntime
except ImportError as error:
    tell(missing=str(error))
try:
    model, images, logits = sys.argv[1:4]
    shape = [int(size) for size in sys.argv[4:]]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    got = session.run(None, {"input": numpy.fromfile(images, "<f4").reshape(shape)})[0]
    expected = numpy.fromfile(logits, "<f8").reshape(shape[0], -1)
    if got.shape != expected.shape or not numpy.isfinite(got).all():
        tell(error=f"its logits are {got.shape} or not finite")
    tell(version=onnxruntime.__version__, difference=float(abs(got - expected).max()))
except Exception as error:
    tell(error=" ".join(str(error).split()))
)";

/// Images of noise, as a data set of that preparation has them.
Dataset noise_for(const TrainedModel& trained) {
  constexpr std::int64_t kImages = 8;
  Dataset images{.name = "noise", .image = trained.model.input, .classes = class_count(trained.model)};
  images.normalization = trained.preparation.normalization;
  images.labels.assign(kImages, 0);
  PhiloxSequence random({.seed = 1, .stream = 0});
  images.pixels.resize(static_cast<std::size_t>(kImages * images.image.count()));
  for (std::uint8_t& pixel : images.pixels) pixel = static_cast<std::uint8_t>(random.below(256));
  return images;
}

/// What a batch of the images is, as the graph takes it.
std::vector<float> normalized(const Dataset& images) {
  std::vector<float> values;
  values.reserve(images.pixels.size());
  const auto plane = static_cast<std::size_t>(images.image[1] * images.image[2]);
  const auto channels = static_cast<std::size_t>(images.image[0]);
  const auto& [mean, deviation] = images.normalization;
  for (std::size_t i = 0; i < images.pixels.size(); ++i) {
    const std::size_t channel = i / plane % channels;
    const float center = mean[mean.size() == 1 ? 0 : channel];
    const float scale = deviation[deviation.size() == 1 ? 0 : channel];
    values.push_back((static_cast<float>(images.pixels[i]) / 255.0f - center) / scale);
  }
  return values;
}

/// Computes in fp32 whatever this machine has: a GPU would round to TF32.
std::vector<double> logits_of(const TrainedModel& trained, const Dataset& images) {
  DeviceOptions options;
  options.precision = Precision::fp32;
  const auto statuses = backend_statuses();
  const bool cpu =
      std::ranges::any_of(statuses, [](const auto& status) { return status.name == "cpu" && status.usable; });
  const BackendChoice choice = make_backend(cpu ? "cpu" : "reference", options);
  return Inference(*choice.backend, trained.model, trained.state, images.count()).predict(images);
}

template <typename Number>
void write_numbers(const fs::path& file, const std::vector<Number>& numbers) {
  write_atomically(
      file, std::string_view(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)));
}

/// Weighs what the script has told, or what something in the place of Python has.
Verification judge(const Json& said, const std::string& python, const std::vector<double>& logits) {
  constexpr double kTolerance = 1e-4;
  if (const std::string missing = text_in(said, "missing"); !missing.empty()) {
    return {false,
            fmt::format(
                "not verified: {}: {}; to verify, install onnxruntime there (pip install onnxruntime), or "
                "name another Python in CONVOY_PYTHON",
                python, missing)};
  }
  if (const std::string error = text_in(said, "error"); !error.empty())
    throw Error(
        fmt::format("onnxruntime cannot compute it: {}; --no-verify would write it all the same", error));
  const std::optional<double> difference = number_in(said, "difference");
  if (!difference) {
    return {false, fmt::format("not verified: {} does not say what onnxruntime computes; name a Python in "
                               "CONVOY_PYTHON",
                               python)};
  }
  double largest = 1.0;
  for (const double logit : logits) largest = std::max(largest, std::abs(logit));
  if (!(*difference <= kTolerance * largest)) {
    throw Error(fmt::format(
        "onnxruntime computes other logits: they differ by {:.2g}, of {:.2g} at most; please report this",
        *difference, largest));
  }
  return {true,
          fmt::format("verified: onnxruntime {} computes the same logits, within {:.1g}, of {:.2g} at most",
                      text_in(said, "version"), *difference, largest)};
}

Verification verify(const TrainedModel& trained, const fs::path& file) {
  const char* const named = std::getenv("CONVOY_PYTHON");
  const std::string python = named != nullptr && *named != '\0' ? named : "python3";
  const Dataset images = noise_for(trained);
  const std::vector<double> logits = logits_of(trained, images);
  const ScratchFolder folder;
  write_numbers(folder.path() / "images", normalized(images));
  write_numbers(folder.path() / "logits", logits);
  Json said = Json::object();
  Child child{.program = python,
              .arguments = {"-c", kScript, fs::absolute(file).string(), (folder.path() / "images").string(),
                            (folder.path() / "logits").string(), std::to_string(images.count())},
              .errors = "/dev/null",
              .event = [&](const Json& event) { said = event; },  // the last one
              .says_more = true,
              .limit = kVerifyLimit};
  for (const std::int64_t size : images.image.dimensions()) child.arguments.push_back(std::to_string(size));
  int code = 0;
  try {
    code = run_child(child);
  } catch (const Error& error) {
    return {
        false,
        fmt::format("not verified: {}; install Python 3 and onnxruntime, or name a Python in CONVOY_PYTHON",
                    error.what())};
  }
  if (code != 0) return {false, fmt::format("not verified: {} ended with {}", python, code)};
  return judge(said, python, logits);
}

}  // namespace

Verification export_onnx(const TrainedModel& trained, const OnnxExportFlags& flags, const fs::path& file) {
  const InterruptGuard guard;  // else the unfinished file and the images would be left
  check_finite(trained.state, "the checkpoint");
  Model model = trained.model;
  StateDict folded;
  if (flags.fold) {
    FoldedModel result = fold_batch_norm(model, trained.state);
    model = std::move(result.model);
    folded = std::move(result.state);
  }
  model.preparation.reset();
  if (trained.preparation_is_recorded) model.preparation = trained.preparation;
  const auto classes = class_names(trained);
  Verification verification{false, "not verified: --no-verify was given"};
  save_onnx(model, flags.fold ? folded : trained.state, classes, file, [&](const fs::path& temporary) {
    if (flags.verify) verification = verify(trained, temporary);
    if (InterruptGuard::interrupted()) {
      throw Interrupted(fmt::format("{}: {} is not written", InterruptGuard::in_words(), file.string()),
                        InterruptGuard::signal());
    }
  });
  return verification;
}

}  // namespace convoy
