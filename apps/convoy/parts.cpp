#include "apps/convoy/parts.h"

#include <algorithm>

#include "apps/convoy/ink.h"

namespace convoy {
namespace {

constexpr std::uint32_t kUnlabelled = 0xffffffff;

/// Gives all pixels that are connected with `seed` its label.
void flood(std::vector<std::uint32_t>& labels, std::size_t width, std::size_t seed, std::uint32_t label) {
  const std::size_t height = labels.size() / width;
  std::vector<std::size_t> open = {seed};
  labels[seed] = label;
  while (!open.empty()) {
    const std::size_t y = open.back() / width, x = open.back() % width;
    open.pop_back();
    for (std::size_t v = y - (y > 0); v < std::min(y + 2, height); ++v) {
      for (std::size_t u = x - (x > 0); u < std::min(x + 2, width); ++u) {
        if (labels[v * width + u] != kUnlabelled) continue;
        labels[v * width + u] = label;
        open.push_back(v * width + u);
      }
    }
  }
}

bool near_edge(const Part& part, std::size_t y, std::size_t x) {
  const auto near = [](std::size_t at, std::size_t begin, std::size_t end) {
    const std::size_t margin = std::max<std::size_t>(2, (end - begin) / 16);
    return at < begin + margin || at + margin > end;
  };
  return near(y, part.top, part.bottom) || near(x, part.left, part.right);
}

/// Calls visitor(part, y, x) for each pixel of at least `least`.
template <typename Visitor>
void visit(Parts& found, const Picture& strength, float least, Visitor visitor) {
  for (std::size_t y = 0; y < strength.height; ++y) {
    for (std::size_t x = 0; x < strength.width; ++x) {
      if (strength.at(0, y, x) < least) continue;
      visitor(found.parts[found.labels[y * strength.width + x] - 1], y, x);
    }
  }
}

}  // namespace

Parts find_parts(const Picture& strength, float least, std::size_t reach) {
  Parts found;
  found.labels.assign(strength.pixels(), 0);
  const Picture about = dilated(strength, reach);
  for (std::size_t i = 0; i < found.labels.size(); ++i) {
    if (about.values[i] >= least) found.labels[i] = kUnlabelled;
  }
  for (std::size_t i = 0; i < found.labels.size(); ++i) {
    if (found.labels[i] != kUnlabelled) continue;
    found.parts.push_back({.top = strength.height, .left = strength.width});
    flood(found.labels, strength.width, i, static_cast<std::uint32_t>(found.parts.size()));
  }
  visit(found, strength, least, [](Part& part, std::size_t y, std::size_t x) {
    part.top = std::min(part.top, y), part.bottom = std::max(part.bottom, y);
    part.left = std::min(part.left, x), part.right = std::max(part.right, x);
    ++part.pixels;
  });
  visit(found, strength, least,
        [](Part& part, std::size_t y, std::size_t x) { part.at_edges += near_edge(part, y, x); });
  return found;
}

std::size_t gap(const Part& a, const Part& b) {
  const auto between = [](std::size_t a_begin, std::size_t a_end, std::size_t b_begin, std::size_t b_end) {
    return a_begin > b_end ? a_begin - b_end : b_begin > a_end ? b_begin - a_end : 0;
  };
  return std::max(between(a.top, a.bottom, b.top, b.bottom), between(a.left, a.right, b.left, b.right));
}

Part united(const Part& a, const Part& b) {
  return {.top = std::min(a.top, b.top),
          .bottom = std::max(a.bottom, b.bottom),
          .left = std::min(a.left, b.left),
          .right = std::max(a.right, b.right),
          .pixels = a.pixels + b.pixels,
          .at_edges = a.at_edges + b.at_edges};
}

}  // namespace convoy
