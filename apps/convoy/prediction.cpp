#include "apps/convoy/prediction.h"

#include <fmt/format.h>

#include "apps/convoy/printable.h"
#include "apps/convoy/terminal_picture.h"
#include "apps/convoy/terminal_size.h"
#include "engine/core/arg_max.h"

namespace convoy {
namespace {

std::string title_of(const Prediction& prediction, const std::vector<std::string>& classes) {
  return fmt::format("{}: {} ({})\n", printable(prediction.file), bold(printable(classes[prediction.best()])),
                     prediction.how);
}

}  // namespace

std::size_t Prediction::best() const { return arg_max(std::span(probabilities)); }

std::string text_of(const Prediction& prediction, const std::vector<std::string>& classes) {
  const std::size_t best = prediction.best();
  std::string line;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const std::string entry =
        fmt::format("{} {:.1f} %", printable(classes[c]), 100.0 * prediction.probabilities[c]);
    line += (c == 0 ? "" : "  ") + (c == best ? bold(entry) : entry);
  }
  return title_of(prediction, classes) + "  " + line + "\n";
}

Json json_of(const Prediction& prediction, const std::vector<std::string>& classes) {
  Json probabilities = Json::object();
  for (std::size_t c = 0; c < classes.size(); ++c) probabilities[classes[c]] = prediction.probabilities[c];
  return {
      {"event", "prediction"},      {"file", prediction.file},        {"class", classes[prediction.best()]},
      {"prepared", prediction.how}, {"probabilities", probabilities}, {"logits", prediction.logits}};
}

std::string drawing_of(const Prediction& prediction, const std::vector<std::string>& classes,
                       const Shape& image) {
  static const Palette palette = terminal_palette();
  return title_of(prediction, classes) +
         draw({prediction.pixels, image, classes, prediction.probabilities}, palette, terminal_columns()) +
         "\n";
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string csv_header(const std::vector<std::string>& classes) {
  std::string line = "image,prediction,probability";
  for (const std::string& name : classes) line += "," + csv_field(name);
  return line + "\n";
}

std::string csv_line(const Prediction& prediction, const std::vector<std::string>& classes) {
  const auto number = [&](std::size_t c) {
    return fmt::format(",{}", static_cast<float>(prediction.probabilities[c]));
  };
  const std::size_t best = prediction.best();
  std::string line = csv_field(prediction.file) + "," + csv_field(classes[best]) + number(best);
  for (std::size_t c = 0; c < classes.size(); ++c) line += number(c);
  return line + "\n";
}

}  // namespace convoy
