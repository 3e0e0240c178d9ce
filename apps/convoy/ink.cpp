#include "apps/convoy/ink.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "convoy/error.h"
#include "engine/data/pictures/picture_file.h"

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

  /// Fits the paper: by least squares to a ring of the picture, then again and again to what is near to that
  /// fit. Of three rings, one may lie on a frame and one on a drawing that fills the picture. That fit is
  /// kept to which most pixels are near.
  explicit Ground(const Picture& grey) {
    const float range = contrast(grey.values);
    std::size_t most = 0;
    for (const auto& [inner, outer] : {std::pair{0.6f, 1.0f}, {0.6f, 0.9f}, {kBorder, 1.0f}}) {
      Ground ground;
      ground.fit(grey, [inner = inner, outer = outer](float y, float x, float) {
        const float at = std::max(std::abs(y), std::abs(x));  // 1 at the border
        return at >= inner && at <= outer;
      });
      std::size_t near = 0;
      for (const float share : {0.5f, 0.3f, 0.2f, 0.1f, 0.1f}) {
        near = 0;
        const Ground before = ground;
        ground.fit(grey, [&](float y, float x, float value) {
          const bool is_near = std::abs(value - before.at(y, x)) <= share * range;
          if (is_near) near += std::max(std::abs(y), std::abs(x)) > kBorder ? 4 : 1;
          return is_near;
        });
      }
      if (near <= most) continue;
      most = near;
      coefficients_ = ground.coefficients_;
    }
  }

  /// The sum of the cubes of what a picture differs from the ground: positive if light ink is on dark paper.
  double skew(const Picture& grey) const {
    double sum = 0.0;
    each(grey, [&](float value, float paper) { sum += std::pow(double{value} - paper, 3.0); });
    return sum;
  }

  /// Calls visitor(value, ground) for every pixel.
  template <typename Visitor>
  void each(const Picture& grey, Visitor visitor) const {
    visit(grey, [&](float y, float x, float value) { visitor(value, at(y, x)); });
  }

 private:
  static constexpr float kBorder = 0.95f;  // of the way from the centre to a side

  Ground() = default;

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

Ground fitted(const Picture& grey) {
  constexpr std::size_t kSide = 64;  // enough for a smooth ground
  return Ground(resize(grey, std::min(grey.height, kSide), std::min(grey.width, kSide)));
}

/// The share of light pixels, of more than half of the picture's range, on a rectangle `inset` pixels within.
double light_share(const Picture& grey, std::size_t inset) {
  const auto [darkest, lightest] = std::minmax_element(grey.values.begin(), grey.values.end());
  const float middle = (*darkest + *lightest) / 2.0f;
  std::size_t light = 0, all = 0;
  for (std::size_t y = inset; y + inset < grey.height; ++y) {
    for (std::size_t x = inset; x + inset < grey.width; ++x) {
      if (y != inset && x != inset && y + inset + 1 != grey.height && x + inset + 1 != grey.width) continue;
      light += grey.at(0, y, x) > middle;
      ++all;
    }
  }
  return static_cast<double>(light) / static_cast<double>(std::max<std::size_t>(1, all));
}

/// By the border and a rectangle within it, if they are clearly light or dark: so a drawing that fills its
/// picture is told. Else, as with a frame or a strong shadow, by the ground.
bool ink_is_dark(const Picture& grey) {
  const double light = (light_share(grey, 0) + light_share(grey, grey.shorter_side() / 10)) / 2.0;
  if (std::abs(light - 0.5) > 0.1) return light > 0.5;
  return fitted(grey).skew(grey) < 0.0;
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

/// The picture with its border repeated outwards, so that a slope of light and a shadow go on. Where the
/// border is ink, which is darker than half of what there is, the ground goes on.
Picture padded(const Picture& grey, std::size_t by) {
  const Ground ground = fitted(grey);
  float deepest = 0.0f;
  ground.each(grey, [&](float value, float paper) { deepest = std::max(deepest, paper - value); });
  Picture outside = grey;
  std::size_t i = 0;
  ground.each(grey, [&](float value, float paper) {
    outside.values[i++] = paper - value > deepest / 2.0f ? paper : value;
  });
  Picture result(1, grey.height + 2 * by, grey.width + 2 * by);
  const auto inside = [by](std::size_t at, std::size_t length) {
    return std::clamp(at, by, by + length - 1) - by;
  };
  for (std::size_t y = 0; y < result.height; ++y) {
    for (std::size_t x = 0; x < result.width; ++x) {
      const std::size_t v = inside(y, grey.height), u = inside(x, grey.width);
      const bool is_inside = y == v + by && x == u + by;
      result.at(0, y, x) = (is_inside ? grey : outside).at(0, v, u);
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

/// How strong plain paper is, as the closing follows its lightest grains: the median. If most of the picture
/// is ink, as where a 1 is cut out tightly, it is that of what has less than half of the strongest ink.
float paper_level(std::vector<float> strength) {
  const float half = *std::max_element(strength.begin(), strength.end()) / 2.0f;
  const float level = median(strength);
  if (level <= half) return level;
  std::erase_if(strength, [half](float value) { return value > half; });
  return strength.empty() ? level : median(std::move(strength));
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
  const std::size_t radius = std::max<std::size_t>(2, std::max(grey.height, grey.width) / 5);
  const Picture paper = paper_under(grey, radius);
  for (std::size_t i = 0; i < grey.values.size(); ++i) {
    // Dark ink reflects the same part of the light in a shadow. Light ink on black has no such ground.
    const float light = ink.dark ? std::max(paper.values[i], kDarkestGround) : 1.0f;
    ink.strength.values[i] = (paper.values[i] - grey.values[i]) / light;
  }
  const float level = paper_level(ink.strength.values);
  for (float& value : ink.strength.values) value -= level;
  ink.noise = grain(ink.strength);
  for (float& value : ink.strength.values) value = std::max(value, 0.0f);
  return ink;
}

}  // namespace convoy
