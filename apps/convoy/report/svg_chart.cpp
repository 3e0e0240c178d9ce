#include "apps/convoy/report/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "apps/convoy/report/html.h"

namespace convoy {
namespace {

constexpr std::size_t kMostPoints = 400;
constexpr std::size_t kMostMarks = 20;  // more than these hide the line

bool is_finite(const Point& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

/// A number as an axis or a tooltip shows it: as short as so many digits allow, and 5e-5 instead of 5e-05.
std::string number(double value, int digits) {
  std::string text = value == 0.0 ? "0" : fmt::format("{:.{}g}", value, digits);
  const std::size_t exponent = text.find('e');
  if (exponent == std::string::npos) return text;
  if (text[exponent + 2] == '0') text.erase(exponent + 2, 1);
  if (text[exponent + 1] == '+') text.erase(exponent + 1, 1);
  return text;
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

/// Both axes: what they show, and where that lies.
class Axes {
 public:
  explicit Axes(const Chart& chart) {
    for (const Series& series : chart.series) {
      for (const Point& point : series.points) {
        if (!is_finite(point)) continue;
        x_.include(point.x);
        y_.include(point.y);
      }
    }
    if (y_.empty()) return;
    x_.include(0.0);
    if (x_.low == x_.high) x_.high = x_.low + 1.0;
    logarithmic_ = chart.logarithmic && y_.low > 0.0;
    if (chart.from_zero && !logarithmic_) y_.include(0.0);
    const bool bounded = chart.most && y_.high <= *chart.most;
    // Nearer to each other than that they could not be told apart, nor ticks put between them.
    if (y_.high - y_.low <= 1e-6 * std::max(std::abs(y_.low), std::abs(y_.high))) {
      const double room = y_.low == 0.0 ? 1.0 : std::abs(y_.low) / 4;
      y_ = {y_.low - room, y_.high + room};
    }
    y_ticks_ = logarithmic_ ? log_ticks(y_.low, y_.high) : ticks(y_.low, y_.high, 4);
    if (bounded) {
      std::erase_if(y_ticks_, [&](double tick) { return tick > *chart.most; });
      y_.high = std::min(y_.high, *chart.most);
    }
    y_.include(y_ticks_.front());
    y_.include(y_ticks_.back());
    x_ticks_ = ticks(x_.low, x_.high, 5);
    std::erase_if(x_ticks_, [&](double tick) { return tick > x_.high || tick < x_.low; });
  }

  bool empty() const { return y_.empty(); }
  const std::vector<double>& x_ticks() const { return x_ticks_; }
  const std::vector<double>& y_ticks() const { return y_ticks_; }

  double x(double value) const {
    return kPlotLeft + (value - x_.low) / (x_.high - x_.low) * (kPlotRight - kPlotLeft);
  }
  double y(double value) const {
    const auto scale = [&](double v) { return logarithmic_ ? std::log10(v) : v; };
    const double part = (scale(value) - scale(y_.low)) / (scale(y_.high) - scale(y_.low));
    return kPlotBottom - part * (kPlotBottom - kPlotTop);
  }

 private:
  Range x_, y_;
  bool logarithmic_ = false;
  std::vector<double> x_ticks_, y_ticks_;
};

std::string grid(const Chart& chart, const Axes& axes) {
  std::string out;
  for (const double tick : axes.y_ticks()) {
    out += fmt::format(R"(<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>)", kPlotLeft,
                       kPlotRight, axes.y(tick), axes.y(tick));
    out += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)"
                       "\n",
                       kPlotLeft - 6, axes.y(tick) + 4, number(tick, 4));
  }
  for (const double tick : axes.x_ticks()) {
    out += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", axes.x(tick),
                       kPlotBottom + 16, number(tick, 6));
  }
  return out + fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)"
                           "\n",
                           kPlotRight, kPlotBottom + 32, escaped(chart.x_label));
}

std::string mark(const Chart& chart, const Axes& axes, const Series& series, const Point& point) {
  return fmt::format(
      R"(<circle class="c{}" cx="{:.1f}" cy="{:.1f}" r="2.6"><title>{}: {}{}, {} {}</title></circle>)",
      series.colour, axes.x(point.x), axes.y(point.y), escaped(series.name), number(point.y, 4),
      escaped(chart.unit), escaped(chart.x_label), number(point.x, 5));
}

std::string line(const Chart& chart, const Axes& axes, const Series& series) {
  std::string out, run;
  std::size_t finite = 0;
  const auto end_run = [&] {
    if (run.empty()) return;
    out += fmt::format(R"(<polyline class="line c{}{}{}" points="{}"/>)"
                       "\n",
                       series.colour, series.faint ? " faint" : "", series.dashed ? " dashed" : "", run);
    run.clear();
  };
  const std::vector<Point> points = thinned(series.points, kMostPoints);
  for (const Point& point : points) {
    if (!is_finite(point)) {
      end_run();
      continue;
    }
    ++finite;
    run += fmt::format("{}{:.1f},{:.1f}", run.empty() ? "" : " ", axes.x(point.x), axes.y(point.y));
  }
  end_run();
  if (series.faint ? finite != 1 : finite > kMostMarks) return out;
  for (const Point& point : points) {
    if (is_finite(point)) out += mark(chart, axes, series, point);
  }
  return out + "\n";
}

/// What a reader without eyes for it is told: each line's first and last value.
std::string description(const Chart& chart) {
  std::string out = "Line chart of " + chart.title + " by " + chart.x_label + ".";
  for (const Series& series : chart.series) {
    const auto first = std::ranges::find_if(series.points, is_finite);
    const auto last = std::find_if(series.points.rbegin(), series.points.rend(), is_finite);
    if (first == series.points.end()) continue;
    out += fmt::format(" {}: from {}{} to {}{}.", series.name, number(first->y, 4), chart.unit,
                       number(last->y, 4), chart.unit);
  }
  return out;
}

std::string legend(const Chart& chart) {
  std::string out = R"(<ul class="legend">)";
  for (const Series& series : chart.series) {
    out += fmt::format(
        R"(<li><svg viewBox="0 0 24 8" aria-hidden="true"><line class="line c{}{}{}" x1="1" x2="23" y1="4" y2="4"/></svg>{}</li>)",
        series.colour, series.faint ? " faint" : "", series.dashed ? " dashed" : "", escaped(series.name));
  }
  return out + "</ul>";
}

}  // namespace

std::vector<double> ticks(double low, double high, int count) {
  const double rough = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double digit = rough / power;
  const double step = power * (digit <= 1.0 ? 1.0 : digit <= 2.0 ? 2.0 : digit <= 5.0 ? 5.0 : 10.0);
  constexpr double kSlack = 1e-9;  // so that a bound which is a tick needs no further one
  const double first = std::floor(low / step + kSlack), last = std::ceil(high / step - kSlack);
  std::vector<double> values;
  for (double k = first; k <= last; k += 1.0) values.push_back(k * step);
  return values;
}

std::vector<double> log_ticks(double low, double high) {
  const double first = std::floor(std::log10(low)), last = std::ceil(std::log10(high));
  const bool dense = last - first <= 2.0;
  constexpr double kMostDecades = 6.0;
  const double stride = std::ceil(std::max(last - first, 1.0) / kMostDecades);
  std::vector<double> values;
  for (double k = first; k < last + stride; k += stride) {
    for (const double digit : {1.0, 2.0, 5.0}) {
      if (digit == 1.0 || (dense && k < last)) values.push_back(digit * std::pow(10.0, k));
    }
  }
  // The tightest that hold the values between them.
  while (values.size() > 2 && values[1] <= low) values.erase(values.begin());
  while (values.size() > 2 && values[values.size() - 2] >= high) values.pop_back();
  return values;
}

std::vector<Point> thinned(const std::vector<Point>& points, std::size_t most) {
  if (points.size() <= most) return points;
  // The ends stay as they are; of each stretch between them two points do.
  const std::size_t stretches = std::max<std::size_t>((most - 2) / 2, 1), inner = points.size() - 2;
  std::vector<Point> kept = {points.front()};
  for (std::size_t s = 0; s < stretches && most > 3; ++s) {
    const auto begin = points.begin() + 1 + static_cast<std::ptrdiff_t>(s * inner / stretches);
    const auto end = points.begin() + 1 + static_cast<std::ptrdiff_t>((s + 1) * inner / stretches);
    auto [low, high] =
        std::minmax_element(begin, end, [](const Point& a, const Point& b) { return a.y < b.y; });
    if (high < low) std::swap(low, high);
    kept.push_back(*low);
    if (high != low) kept.push_back(*high);
  }
  kept.push_back(points.back());
  return kept;
}

std::string figure_of(const Chart& chart) {
  const Axes axes(chart);
  if (axes.empty()) {
    return fmt::format("<figure><h3>{}</h3><p class=\"soft\">The log tells of none.</p></figure>\n",
                       escaped(chart.title));
  }
  std::string out =
      fmt::format(R"(<figure><h3>{}</h3><svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">)"
                  "\n",
                  escaped(chart.title), kChartWidth, kChartHeight, escaped(description(chart)));
  out += grid(chart, axes);
  for (const Series& series : chart.series) out += line(chart, axes, series);
  return out + "</svg>" + legend(chart) + "</figure>\n";
}

}  // namespace convoy
