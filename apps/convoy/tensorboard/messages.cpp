#include "apps/convoy/tensorboard/messages.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace convoy {
namespace {

// Fields of the messages, as TensorBoard's .proto files number them.
namespace event {
enum : std::uint32_t { step = 2, file_version = 3, graph_def = 4, summary = 5, session_log = 7 };
}
namespace value {
enum : std::uint32_t { tag = 1, simple_value = 2, image = 4, histo = 5, tensor = 8, metadata = 9 };
}
namespace hparams {
enum : std::uint32_t { experiment = 2, session_start = 3, session_end = 4 };
}

ProtoMessage summary_event(std::int64_t step, const ProtoMessage& summary_value) {
  return ProtoMessage()
      .integer(event::step, step)
      .message(event::summary, ProtoMessage().message(1, summary_value));
}

/// The metadata that give a value to a plugin.
ProtoMessage metadata_of(std::string_view plugin, std::string_view content) {
  return ProtoMessage().message(1, ProtoMessage().text(1, plugin).text(2, content));
}

ProtoMessage hparams_event(std::string_view tag, std::uint32_t kind, const ProtoMessage& content) {
  // The plugin reads the metadata alone; a value has to be there: an empty tensor of floats.
  constexpr std::int64_t kFloat = 1;
  const ProtoMessage empty_shape = ProtoMessage().message(2, ProtoMessage().integer(1, 0));
  return summary_event(
      0, ProtoMessage()
             .text(value::tag, tag)
             .message(value::metadata, metadata_of("hparams", ProtoMessage().message(kind, content).bytes()))
             .message(value::tensor, ProtoMessage().integer(1, kFloat).message(2, empty_shape)));
}

bool counts(const Json& option) { return option.is_string() || option.is_boolean() || option.is_number(); }

/// google.protobuf.Value
ProtoMessage value_of(const Json& option) {
  if (option.is_boolean()) return ProtoMessage().integer(4, option.get<bool>() ? 1 : 0);
  if (option.is_number()) return ProtoMessage().real(2, option.get<double>());
  return ProtoMessage().text(3, option.get<std::string>());
}

}  // namespace

ProtoMessage first_event() { return ProtoMessage().text(event::file_version, "brain.Event:2"); }

ProtoMessage session_event(std::int64_t step) {
  constexpr std::int64_t kStart = 1;
  return ProtoMessage()
      .integer(event::step, step)
      .message(event::session_log, ProtoMessage().integer(1, kStart));
}

ProtoMessage scalar_event(std::int64_t step, std::string_view tag, double number) {
  return summary_event(
      step, ProtoMessage().text(value::tag, tag).real32(value::simple_value, static_cast<float>(number)));
}

ProtoMessage histogram_event(std::int64_t step, std::string_view tag, std::span<const double> all) {
  std::vector<double> values(all.begin(), all.end());
  std::erase_if(values, [](double each) { return !std::isfinite(each); });
  if (values.empty()) return ProtoMessage().integer(event::step, step);
  const auto [low, high] = std::ranges::minmax(values);
  constexpr std::size_t kBuckets = 30;
  std::vector<double> limits(kBuckets), counts_of(kBuckets, 0.0);
  const double width = (high > low ? high - low : 1.0) / static_cast<double>(kBuckets);
  for (std::size_t b = 0; b < kBuckets; ++b) limits[b] = low + width * static_cast<double>(b + 1);
  limits.back() = std::max(limits.back(), high);
  double sum = 0.0, squares = 0.0;
  for (const double each : values) {
    counts_of[std::min(static_cast<std::size_t>((each - low) / width), kBuckets - 1)] += 1.0;
    sum += each;
    squares += each * each;
  }
  const ProtoMessage histogram = ProtoMessage()
                                     .real(1, low)
                                     .real(2, high)
                                     .real(3, static_cast<double>(values.size()))
                                     .real(4, sum)
                                     .real(5, squares)
                                     .reals(6, limits)
                                     .reals(7, counts_of);
  return summary_event(step, ProtoMessage().text(value::tag, tag).message(value::histo, histogram));
}

ProtoMessage image_event(std::int64_t step, std::string_view tag, int width, int height,
                         std::string_view png) {
  constexpr std::int64_t kRgb = 3;
  const ProtoMessage image =
      ProtoMessage().integer(1, height).integer(2, width).integer(3, kRgb).text(4, png);
  return summary_event(step, ProtoMessage().text(value::tag, tag).message(value::image, image));
}

ProtoMessage text_event(std::string_view tag, std::string_view text) {
  constexpr std::int64_t kString = 7;
  const ProtoMessage shape = ProtoMessage().message(2, ProtoMessage().integer(1, 1));
  return summary_event(
      0, ProtoMessage()
             .text(value::tag, tag)
             .message(value::metadata, metadata_of("text", ""))
             .message(value::tensor, ProtoMessage().integer(1, kString).message(2, shape).text(8, text)));
}

ProtoMessage options_event(const Json& options, std::span<const std::string_view> metrics) {
  enum : std::int64_t { kString = 1, kBool = 2, kFloat64 = 3 };
  ProtoMessage experiment;
  for (const auto& [name, option] : options.items()) {
    if (!counts(option)) continue;
    const std::int64_t type = option.is_boolean() ? kBool : option.is_number() ? kFloat64 : kString;
    experiment.message(4, ProtoMessage().text(1, name).integer(4, type));
  }
  for (const std::string_view tag : metrics) {
    experiment.message(5, ProtoMessage().message(1, ProtoMessage().text(2, tag)));
  }
  return hparams_event("_hparams_/experiment", hparams::experiment, experiment);
}

ProtoMessage options_of_session_event(const Json& options, std::string_view name, double begin_seconds) {
  ProtoMessage session;
  for (const auto& [key, option] : options.items()) {
    if (counts(option)) session.message(1, ProtoMessage().text(1, key).message(2, value_of(option)));
  }
  session.text(4, name).real(5, begin_seconds);
  return hparams_event("_hparams_/session_start_info", hparams::session_start, session);
}

ProtoMessage session_end_event(bool succeeded, double end_seconds) {
  enum : std::int64_t { kSuccess = 1, kFailure = 2 };
  return hparams_event("_hparams_/session_end_info", hparams::session_end,
                       ProtoMessage().integer(1, succeeded ? kSuccess : kFailure).real(2, end_seconds));
}

}  // namespace convoy
