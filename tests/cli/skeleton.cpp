#include "tests/cli/skeleton.h"

#include <cmath>
#include <map>

namespace convoy::test {
namespace {

constexpr int kScale = 4, kSide = 28 * kScale;
constexpr std::array<std::array<int, 2>, 8> kAround = {
    {{-1, 0}, {-1, 1}, {0, 1}, {1, 1}, {1, 0}, {1, -1}, {0, -1}, {-1, -1}}};  // clockwise from above

using Point = std::array<int, 2>;

class Bitmap {
 public:
  bool at(int y, int x) const {
    return y >= 0 && x >= 0 && y < kSide && x < kSide && set_[static_cast<std::size_t>(y * kSide + x)];
  }
  void set(int y, int x, bool value) { set_[static_cast<std::size_t>(y * kSide + x)] = value; }

  /// Whether the first (or second) half of a pass of Zhang and Suen's takes the pixel away.
  bool is_removable(int y, int x, bool second) const {
    std::array<bool, 8> around;
    int count = 0, rises = 0;
    for (std::size_t i = 0; i < 8; ++i) count += around[i] = at(y + kAround[i][0], x + kAround[i][1]);
    for (std::size_t i = 0; i < 8; ++i) rises += !around[i] && around[(i + 1) % 8];
    if (count < 2 || count > 6 || rises != 1) return false;
    const bool n = around[0], e = around[2], s = around[4], w = around[6];
    return second ? !(n && e && w) && !(n && s && w) : !(n && e && s) && !(e && s && w);
  }

 private:
  std::vector<bool> set_ = std::vector<bool>(kSide * kSide, false);
};

void thin(Bitmap& bitmap) {
  for (bool changed = true; changed;) {
    changed = false;
    for (const bool second : {false, true}) {
      std::vector<Point> gone;
      for (int y = 0; y < kSide; ++y) {
        for (int x = 0; x < kSide; ++x) {
          if (bitmap.at(y, x) && bitmap.is_removable(y, x, second)) gone.push_back({y, x});
        }
      }
      for (const auto& [y, x] : gone) bitmap.set(y, x, false);
      changed = changed || !gone.empty();
    }
  }
}

std::vector<Point> neighbours(const Bitmap& bitmap, const Point& at) {
  std::vector<Point> result;
  for (const auto& [dy, dx] : kAround) {
    if (bitmap.at(at[0] + dy, at[1] + dx)) result.push_back({at[0] + dy, at[1] + dx});
  }
  return result;
}

}  // namespace

double ink_at(std::span<const std::uint8_t> digit, double y, double x) {
  const double top = std::floor(y - 0.5), left = std::floor(x - 0.5);
  const double v = y - 0.5 - top, u = x - 0.5 - left;
  const auto pixel = [&](double row, double column) {
    if (row < 0 || column < 0 || row > 27 || column > 27) return 0.0;
    return digit[static_cast<std::size_t>(row * 28 + column)] / 255.0;
  };
  return (1 - v) * ((1 - u) * pixel(top, left) + u * pixel(top, left + 1)) +
         v * ((1 - u) * pixel(top + 1, left) + u * pixel(top + 1, left + 1));
}

std::vector<Stroke> skeleton(std::span<const std::uint8_t> digit) {
  Bitmap bitmap;
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      bitmap.set(y, x, ink_at(digit, (y + 0.5) / kScale, (x + 0.5) / kScale) >= 0.5);
    }
  }
  thin(bitmap);
  std::map<Point, std::array<double, 2>> places;
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      if (bitmap.at(y, x)) places[{y, x}] = {(y + 0.5) / kScale, (x + 0.5) / kScale};
    }
  }
  for (int round = 0; round < 4; ++round) {  // steps of whole pixels become a line
    const auto before = places;
    for (auto& [point, place] : places) {
      const auto next = neighbours(bitmap, point);
      if (next.size() != 2) continue;  // ends and crossings stay
      for (std::size_t axis = 0; axis < 2; ++axis) {
        place[axis] = before.at(point)[axis] / 2 + (before.at(next[0])[axis] + before.at(next[1])[axis]) / 4;
      }
    }
  }
  std::vector<Stroke> strokes;
  for (const auto& [point, place] : places) {
    const auto next = neighbours(bitmap, point);
    if (next.empty()) strokes.push_back({place, place});
    for (const Point& other : next) {
      if (point < other) strokes.push_back({place, places.at(other)});
    }
  }
  return strokes;
}

}  // namespace convoy::test
