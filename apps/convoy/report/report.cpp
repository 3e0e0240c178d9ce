#include "apps/convoy/report/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/convoy/report/html.h"

namespace convoy {
namespace {

/// Loss and accuracy differ most in their first steps: on a linear axis the rest would lie on one line.
constexpr double kWideRange = 20.0;

bool spans_decades(const std::vector<Series>& lines) {
  double low = 1e300, high = 0.0;
  for (const Series& line : lines) {
    for (const Point& point : line.points) {
      low = std::min(low, point.y);
      high = std::max(high, point.y);
    }
  }
  return low > 0.0 && high > kWideRange * low;
}

std::vector<Series> with_points(std::vector<Series> lines) {
  std::erase_if(lines, [](const Series& line) { return line.points.empty(); });
  return lines;
}

/// "Conv2d+ReLU", which a narrow page may break behind the plus.
std::string breakable(const std::string& type) {
  std::string out;
  for (const char c : escaped(type)) out += c == '+' ? "+<wbr>" : std::string(1, c);
  return out;
}

}  // namespace

std::string curves_section(const LoggedRun& log) {
  const auto loss = with_points({{.name = "of a step", .points = log.step_loss, .colour = 0, .faint = true},
                                 {.name = "mean of an epoch", .points = log.epoch_loss, .colour = 0},
                                 {.name = "held out", .points = log.validation_loss, .colour = 2},
                                 {.name = "test", .points = log.test_loss, .colour = 1}});
  const auto accuracy =
      with_points({{.name = "of the epoch so far", .points = log.step_accuracy, .colour = 0, .faint = true},
                   {.name = "of an epoch", .points = log.epoch_accuracy, .colour = 0},
                   {.name = "held out", .points = log.validation_accuracy, .colour = 2},
                   {.name = "test", .points = log.test_accuracy, .colour = 1}});
  std::string charts = figure_of({.title = "Loss",
                                  .x_label = "epoch",
                                  .unit = "",
                                  .series = loss,
                                  .from_zero = true,
                                  .logarithmic = spans_decades(loss),
                                  .most = {}});
  charts += figure_of(
      {.title = "Accuracy, %", .x_label = "epoch", .unit = " %", .series = accuracy, .most = 100.0});
  charts +=
      figure_of({.title = "Learning rate",
                 .x_label = "epoch",
                 .unit = "",
                 .series = with_points({{.name = "of a step", .points = log.learning_rate, .colour = 0}}),
                 .from_zero = true,
                 .most = {}});
  return section("curves", "Curves", "<div class=\"charts\">\n" + charts + "</div>\n");
}

std::string times_section(const LoggedRun& log) {
  if (log.layers.empty()) {
    return section(
        "times", "Time per layer",
        "<p class=\"soft\">This training was not profiled: it is one of several <code>--seeds</code>, "
        "which share the device, or ran too few steps of its first epoch. "
        "<code>convoy bench</code> measures each layer's passes without training.</p>\n");
  }
  double longest = 1e-9, sum = 0.0;
  for (const LoggedRun::Layer& layer : log.layers) {
    const double all = layer.forward_ms + layer.backward_ms.value_or(0.0);
    longest = std::max(longest, all);
    sum += all;
  }
  std::vector<std::vector<Cell>> rows;
  for (const LoggedRun::Layer& layer : log.layers) {
    const auto bar = [&](double ms, const char* pass) {
      return fmt::format(R"(<span class="bar{}" style="--part:{:.4f}"></span>)", pass, ms / longest);
    };
    const double backward = layer.backward_ms.value_or(0.0);
    rows.push_back({{"<code>" + escaped(layer.name) + "</code>"},
                    {breakable(layer.type)},
                    {fmt::format("{:.3f}", layer.forward_ms), true},
                    {backward > 0.0 ? fmt::format("{:.3f}", backward) : "–", true},
                    {"<span class=\"bars\">" + bar(layer.forward_ms, "") +
                     (backward > 0.0 ? bar(backward, " back") : "") + "</span>"}});
  }
  const char* const legend =
      R"(<span class="bars"><span class="bar swatch"></span> forward <span class="bar back swatch"></span> backward</span>)";
  const std::string caption =
      fmt::format("Median milliseconds of a training step's parts, on the device's clock; {:.3f} ms in all{}",
                  sum, log.profiled_step_ms ? fmt::format(", {:.3f} ms a step", *log.profiled_step_ms) : "");
  return section("times", "Time per layer",
                 table(caption, {"part", "type", "forward", "backward", legend}, rows));
}

std::string report_page(const ReportContent& content) {
  std::string body = head_section(content) + curves_section(content.log);
  body += mistakes_section(content) + classes_section(content);
  if (content.state != nullptr) body += filters_section(*content.state);
  body += times_section(content.log) + options_section(content.record);
  return page(content.name + " – Convoy", body);
}

}  // namespace convoy
