#include "apps/convoy/ink.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "apps/convoy/picture_file.h"
#include "convoy/error.h"

namespace convoy {
namespace {

constexpr float kColourful = 2.0f;      // so many times luma's contrast a colour must have to be taken
constexpr float kDarkestGround = 0.2f;  // below this, strength is not blown up further

float median(std::vector<float> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::span<const float> plane(const Picture& picture, std::size_t channel) {
  return std::span(picture.values).subspan(channel * picture.pixels(), picture.pixels());
}

/// Luma, or the colour with the most contrast if luma has far less: red on green, or yellow on white.
Picture grey_of(const Picture& rgb) {
  Picture grey = luma(rgb);
  float most = kColourful * contrast(grey.values);
  for (std::size_t c = 0; c < 3; ++c) {
    const auto colour = plane(rgb, c);
    if (contrast(colour) <= most) continue;
    most = contrast(colour);
    grey.values.assign(colour.begin(), colour.end());
  }
  return grey;
}

/// A polynomial of degree 2 in x and y, which light that falls off over a picture follows roughly.
class Ground {
 public:
  static constexpr std::size_t kTerms = 6;

  /// Fits the paper by least squares: first the outer fifths of the picture, then what is near to that fit.
  explicit Ground(const Picture& grey) {
    const auto outside = [](float at) { return std::abs(at) > 0.6f; };  // of -1 to 1
    fit(grey, [&](float y, float x, float) { return outside(y) || outside(x); });
    for (int round = 0; round < 3; ++round) {
      std::vector<float> residuals;
      visit(grey, [&](float y, float x, float value) { residuals.push_back(std::abs(value - at(y, x))); });
      const float near = std::max(2.0f * median(residuals), 0.02f);
      const Ground before = *this;
      fit(grey, [&](float y, float x, float value) { return std::abs(value - before.at(y, x)) <= near; });
    }
  }

  /// The sum of the cubes of what a picture differs from the ground: positive if light ink is on dark paper.
  double skew(const Picture& grey) const {
    double sum = 0.0;
    visit(grey, [&](float y, float x, float value) { sum += std::pow(double{value} - at(y, x), 3.0); });
    return sum;
  }

 private:
  using Terms = std::array<double, kTerms>;

  static Terms terms(double y, double x) { return {1.0, x, y, x * x, x * y, y * y}; }

  float at(float y, float x) const {
    const Terms values = terms(y, x);
    double sum = 0.0;
    for (std::size_t i = 0; i < kTerms; ++i) sum += coefficients_[i] * values[i];
    return static_cast<float>(sum);
  }

  /// Calls visitor(y, x, value) for every pixel, with the picture's centre at 0 and its sides at -1 and 1.
  template <typename Visitor>
  static void visit(const Picture& grey, Visitor visitor) {
    for (std::size_t y = 0; y < grey.height; ++y) {
      for (std::size_t x = 0; x < grey.width; ++x) {
        visitor((2.0f * static_cast<float>(y) + 1.0f) / static_cast<float>(grey.height) - 1.0f,
                (2.0f * static_cast<float>(x) + 1.0f) / static_cast<float>(grey.width) - 1.0f,
                grey.at(0, y, x));
      }
    }
  }

  template <typename Choice>
  void fit(const Picture& grey, Choice chosen) {
    std::array<std::array<double, kTerms + 1>, kTerms> rows = {};  // the normal equations
    visit(grey, [&](float y, float x, float value) {
      if (!chosen(y, x, value)) return;
      const Terms values = terms(y, x);
      for (std::size_t i = 0; i < kTerms; ++i) {
        for (std::size_t j = 0; j < kTerms; ++j) rows[i][j] += values[i] * values[j];
        rows[i][kTerms] += values[i] * value;
      }
    });
    for (std::size_t i = 0; i < kTerms; ++i) rows[i][i] += 1e-6;  // of few pixels no term is determined
    for (std::size_t i = 0; i < kTerms; ++i) {                    // positive definite: no pivots are needed
      for (std::size_t k = i + 1; k < kTerms; ++k) {
        const double factor = rows[k][i] / rows[i][i];
        for (std::size_t j = i; j <= kTerms; ++j) rows[k][j] -= factor * rows[i][j];
      }
    }
    for (std::size_t i = kTerms; i-- > 0;) {
      double sum = rows[i][kTerms];
      for (std::size_t j = i + 1; j < kTerms; ++j) sum -= rows[i][j] * coefficients_[j];
      coefficients_[i] = sum / rows[i][i];
    }
  }

  Terms coefficients_ = {};
};

bool ink_is_dark(const Picture& grey) {
  constexpr std::size_t kSide = 64;  // enough for a smooth ground
  const Ground ground(resize(grey, std::min(grey.height, kSide), std::min(grey.width, kSide)));
  return ground.skew(grey) < 0.0;
}

/// The largest value within `radius` of each in its row.
Picture dilated_rows(const Picture& grey, std::size_t radius) {
  Picture result(1, grey.height, grey.width);
  std::vector<std::size_t> queue(grey.width);  // positions, their values falling
  for (std::size_t y = 0; y < grey.height; ++y) {
    std::size_t begin = 0, end = 0, next = 0;
    for (std::size_t x = 0; x < grey.width; ++x) {
      for (; next < std::min(x + radius + 1, grey.width); ++next) {
        while (end > begin && grey.at(0, y, queue[end - 1]) <= grey.at(0, y, next)) --end;
        queue[end++] = next;
      }
      while (queue[begin] + radius < x) ++begin;
      result.at(0, y, x) = grey.at(0, y, queue[begin]);
    }
  }
  return result;
}

/// The picture with its border repeated outwards, so that a slope of light goes on level.
Picture padded(const Picture& grey, std::size_t by) {
  Picture result(1, grey.height + 2 * by, grey.width + 2 * by);
  const auto inside = [by](std::size_t at, std::size_t length) {
    return std::clamp(at, by, by + length - 1) - by;
  };
  for (std::size_t y = 0; y < result.height; ++y) {
    for (std::size_t x = 0; x < result.width; ++x) {
      result.at(0, y, x) = grey.at(0, inside(y, grey.height), inside(x, grey.width));
    }
  }
  return result;
}

/// The brightness of the paper about dark ink: a closing, which fills what is dark and narrower than two
/// radii.
Picture paper_under(const Picture& grey, std::size_t radius) {
  Picture lit = dilated(padded(grey, radius), radius);
  for (float& value : lit.values) value = -value;
  lit = dilated(lit, radius);
  Picture result(1, grey.height, grey.width);
  for (std::size_t y = 0; y < grey.height; ++y) {
    for (std::size_t x = 0; x < grey.width; ++x) {
      result.at(0, y, x) = -lit.at(0, y + radius, x + radius);
    }
  }
  return result;
}

/// The standard deviation of the noise, from the differences between neighbours: most are on plain paper,
/// even where that has a pattern.
float grain(const Picture& grey) {
  constexpr float kDeviation = 1.4826f;  // of a normal distribution, in medians of its absolute values
  std::vector<float> differences = {0.0f};
  for (std::size_t y = 0; y < grey.height; ++y) {
    for (std::size_t x = 1; x < grey.width; ++x) {
      differences.push_back(std::abs(grey.at(0, y, x) - grey.at(0, y, x - 1)));
    }
  }
  return kDeviation / std::sqrt(2.0f) * median(std::move(differences));
}

}  // namespace

Picture dilated(const Picture& grey, std::size_t radius) {
  return transposed(dilated_rows(transposed(dilated_rows(grey, radius)), radius));
}

Ink find_ink(const Picture& rgba, std::optional<bool> dark) {
  Picture grey = grey_of(opaque(rgba));
  if (contrast(grey.values) < kOneColour) throw Error("no digit to be seen, the picture has one colour");
  Ink ink{.strength = Picture(1, grey.height, grey.width), .noise = 0.0f, .dark = dark.value_or(false)};
  if (!dark) ink.dark = ink_is_dark(grey);
  const float most = *std::max_element(grey.values.begin(), grey.values.end());
  for (float& value : grey.values) value = ink.dark ? value / most : 1.0f - value;
  const std::size_t radius = std::max<std::size_t>(2, grey.shorter_side() / 5);
  const Picture paper = paper_under(grey, radius);
  for (std::size_t i = 0; i < grey.values.size(); ++i) {
    // Dark ink reflects the same part of the light in a shadow. Light ink on black has no such ground.
    const float light = ink.dark ? std::max(paper.values[i], kDarkestGround) : 1.0f;
    ink.strength.values[i] = (paper.values[i] - grey.values[i]) / light;
  }
  const float level = median(ink.strength.values);  // the closing follows the lightest grains of the paper
  for (float& value : ink.strength.values) value -= level;
  ink.noise = grain(ink.strength);
  for (float& value : ink.strength.values) value = std::max(value, 0.0f);
  return ink;
}

}  // namespace convoy
