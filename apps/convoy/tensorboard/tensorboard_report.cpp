#include "apps/convoy/tensorboard/tensorboard_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "apps/convoy/classification.h"
#include "apps/convoy/json_values.h"
#include "apps/convoy/report/html.h"
#include "apps/convoy/report/pictures.h"
#include "apps/convoy/run_folder.h"
#include "apps/convoy/tensorboard/messages.h"

namespace convoy {
namespace {

constexpr std::string_view kTestAccuracy = "accuracy/test", kTestLoss = "loss/test";

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// The same, with U+FFFD for what is no UTF-8: TensorBoard refuses a file that has other texts.
Json in_utf8(const Json& json) {
  return Json::parse(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

ProtoMessage picture_event(std::int64_t step, const std::string& tag, const Picture8& picture) {
  const std::vector<std::uint8_t> png = png_of(picture);
  return image_event(step, tag, picture.width, picture.height,
                     {reinterpret_cast<const char*>(png.data()), png.size()});
}

}  // namespace

TensorBoardReport::TensorBoardReport(std::filesystem::path run_folder, const Model& model,
                                     const Trainer& trainer)
    : run_folder_(std::move(run_folder)), model_(model), trainer_(trainer) {}

TensorBoardReport::~TensorBoardReport() {
  if (!file_ || done_) return;
  try {
    file_->write(session_end_event(/*succeeded=*/false, seconds_now()));
  } catch (const std::exception&) {
    // Memory is short, and the error that ended the training is on its way.
  }
}

void TensorBoardReport::run(const Json& record) { record_ = in_utf8(record); }

void TensorBoardReport::resumed(const std::filesystem::path&, const TrainingPosition& at) { from_ = at; }

void TensorBoardReport::at(const Progress& progress) {
  if (from_) {
    // What an earlier process told of later steps will be told again.
    file().write(session_event((from_->epoch - 1) * progress.steps + from_->step + 1));
    from_.reset();
  }
  step_ = (progress.epoch - 1) * progress.steps + progress.step;
}

EventFile& TensorBoardReport::file() {
  if (file_) return *file_;
  file_ = std::make_unique<EventFile>(run_folder_ / kEventsFolder);
  const Json options = object_in(record_, "config");
  constexpr auto kMetrics = std::to_array<std::string_view>({kTestAccuracy, kTestLoss});
  file_->write(options_event(options, kMetrics));
  const std::string name = in_utf8(run_name(run_folder_)).get<std::string>();
  file_->write(options_of_session_event(options, name, seconds_now()));
  file_->write(graph_event(model_));
  file_->write(text_event("run.json",
                          "```\n" + record_.dump(2, ' ', false, Json::error_handler_t::replace) + "\n```\n"));
  return *file_;
}

void TensorBoardReport::first_step(double, const std::string&) { file(); }

void TensorBoardReport::scalar(const std::string& tag, double value) {
  file().write(scalar_event(step_, tag, value));
}

void TensorBoardReport::step(const StepReport& report) {
  at(report);
  scalar("loss/step", report.loss);
  scalar("accuracy/epoch so far", report.accuracy);
  scalar("learning rate", report.learning_rate);
  scalar("images a second", report.images_per_second);
}

void TensorBoardReport::histograms(const std::string& prefix, const StateDict& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (tensor.dtype != DType::float32) continue;  // a counter of batches
    file().write(histogram_event(step_, prefix + name, tensor.values));
  }
}

void TensorBoardReport::epoch(const EpochReport& report) {
  at(report);
  scalar("loss/epoch", report.loss);
  scalar("accuracy/epoch", report.accuracy);
  histograms("weights/", trainer_.state());
  histograms("gradients/", trainer_.gradients());
}

void TensorBoardReport::validated(const EpochReport& epoch, const Evaluation& evaluation) {
  at(epoch);
  scalar("loss/held out", evaluation.loss);
  scalar("accuracy/held out", evaluation.accuracy);
}

void TensorBoardReport::tested(const Progress& progress, const TimedEvaluation& evaluation, double) {
  at(progress);
  scalar(std::string(kTestLoss), evaluation.result.loss);
  scalar(std::string(kTestAccuracy), evaluation.result.accuracy);
}

void TensorBoardReport::ended(const std::string&, const std::string& why) {
  file().write(text_event("ended early", why));
}

void TensorBoardReport::evaluated(const TimedEvaluation& evaluation) {
  scalar(std::string(kTestLoss), evaluation.result.loss);
  scalar(std::string(kTestAccuracy), evaluation.result.accuracy);
}

void TensorBoardReport::pictures(const StateDict& state, const Dataset& test,
                                 const std::vector<double>& logits,
                                 const std::vector<std::string>& class_names) {
  constexpr std::size_t kMostPictures = 16;
  const std::vector<Picture8> filters = first_filters(state);
  for (std::size_t i = 0; i < std::min(filters.size(), kMostPictures); ++i) {
    file().write(picture_event(step_, fmt::format("filters/{:02}", i), filters[i]));
  }
  if (logits.empty()) return;
  const std::vector<Mistake> mistakes = surest_mistakes(logits, test.labels, class_names.size());
  for (std::size_t i = 0; i < std::min(mistakes.size(), kMostPictures); ++i) {
    const Mistake& mistake = mistakes[i];
    const Json tag = in_utf8(fmt::format("mistakes/{:02} {} for {}", i, class_names[mistake.predicted],
                                         class_names[mistake.truth]));
    file().write(picture_event(step_, tag.get<std::string>(), pixels_of(test, mistake.sample)));
  }
}

void TensorBoardReport::done(const Json&) {
  file().write(session_end_event(/*succeeded=*/true, seconds_now()));
  done_ = true;
}

}  // namespace convoy
