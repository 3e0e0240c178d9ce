// Line charts as inline SVG.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace convoy {

struct Point {
  double x = 0.0;
  double y = 0.0;

  bool operator==(const Point&) const = default;
};

/// One line of a chart. Points that are not finite are left out, and break the line.
struct Series {
  std::string name;           // text, for the legend
  std::vector<Point> points;  // by rising x
  int colour = 0;             // below kLineColours
  bool faint = false;         // a thin line, for what jitters
  bool dashed = false;
};

struct Chart {
  std::string title;    // text
  std::string x_label;  // text: what x counts, "epoch"
  std::string unit;     // text behind a value: " %"
  std::vector<Series> series;
  bool from_zero = false;      // the y axis begins with 0
  bool logarithmic = false;    // of y; taken where all values are above 0
  std::optional<double> most;  // that y can be: the axis ends there at the latest
};

/// Where the lines of a chart lie in its SVG.
constexpr double kChartWidth = 360, kChartHeight = 214;
constexpr double kPlotLeft = 46, kPlotRight = 350, kPlotTop = 8, kPlotBottom = 178;

/// The values at an axis' lines, evenly 1, 2 or 5 times a power of ten apart: they reach from `low` or below
/// to `high` or above, with about `count` steps. `low` must be below `high`.
std::vector<double> ticks(double low, double high, int count);

/// Likewise for a logarithmic axis; both must be above 0.
std::vector<double> log_ticks(double low, double high);

/// At most so many points (2 at least), which keep each peak's height: of the points between two that stay,
/// the lowest and the highest stay, too.
std::vector<Point> thinned(const std::vector<Point>& points, std::size_t most);

/// The chart with its title and legend as a <figure>, of which the lines have at most some hundred points
/// each. Where there is no point it says so.
std::string figure_of(const Chart& chart);

}  // namespace convoy
