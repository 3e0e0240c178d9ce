#include "apps/convoy/drawing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "apps/convoy/parts.h"
#include "convoy/error.h"

namespace convoy {
namespace {

// Shares of the strongest ink.
constexpr float kPartOfInk = 0.5f;  // what belongs to a part at least
constexpr float kCore = 0.9f;       // this quantile of a drawing's ink counts in full
constexpr float kFaintest = 0.1f;   // below this is blur and noise of the paper
// Standard deviations of the paper.
constexpr float kSureOfInk = 5.0f;
// Ink that takes less of the light is not told from paper; half a level of 8 bits is 0.002.
constexpr float kVisible = 0.004f;
// Lengths as shares of the picture's shorter side.
constexpr double kReach = 0.01;       // gaps within a broken stroke
constexpr double kDrawing = 0.08;     // what is shorter than this may be dust
constexpr double kSureDrawing = 0.2;  // a part that is longer is not given up for one at the border
// Lengths as shares of the main part's longer side.
constexpr double kNear = 0.12, kFar = 0.25, kFriend = 0.12, kGrown = 1.4;

class Selection {
 public:
  Selection(const Picture& picture, const Parts& found) : picture_(picture), found_(found) {
    kinds_.reserve(parts().size());
    for (const Part& part : parts()) kinds_.push_back(kind_of(part));
  }

  /// The part that is the drawing or most of it; empty if there is nothing but dust, lines and frames.
  std::optional<std::size_t> main() const {
    const auto free = heaviest(Kind::free), cut = heaviest(Kind::at_border);
    const double least = std::max(4.0, kDrawing * side());
    const bool free_is_drawing = free && length(*free) >= least;
    if (!cut || length(*cut) < least) return free_is_drawing ? free : std::nullopt;
    if (free_is_drawing && (length(*free) >= kSureDrawing * side() || 3.0 * length(*free) >= length(*cut))) {
      return free;
    }
    return cut;
  }

  /// Marks the main part and what is near enough to it and not small.
  std::vector<bool> with_friends(std::size_t main) const {
    std::vector<bool> kept(parts().size(), false);
    kept[main] = true;
    Part all = parts()[main];
    for (bool grown = true; grown;) {
      grown = false;
      for (std::size_t i = 0; i < parts().size(); ++i) {
        if (kept[i] || kinds_[i] != kinds_[main] || length(i) < kFriend * length(main)) continue;
        const Part with = united(all, parts()[i]);
        const double apart = static_cast<double>(gap(all, parts()[i])) / length(main);
        // The bar of a 5 may be far off, but does not make it much larger. A hair does.
        const bool grows = static_cast<double>(with.longer_side()) > kGrown * length(main);
        if (apart > kFar || (apart > kNear && grows)) continue;
        all = with;
        kept[i] = grown = true;
      }
    }
    return kept;
  }

  /// What is not kept, in words.
  std::string left_out(const std::vector<bool>& kept) const {
    std::vector<std::string> words;
    const auto add = [&](Kind kind, const char* what) {
      std::size_t count = 0, longest = 0;
      for (std::size_t i = 0; i < parts().size(); ++i) {
        if (kept[i] || kinds_[i] != kind) continue;
        ++count;
        longest = std::max(longest, parts()[i].longer_side());
      }
      if (count > 0) words.push_back(fmt::format("{} {} (the longest {} pixels)", count, what, longest));
    };
    add(Kind::at_border, "at the border");
    add(Kind::line, "that are lines across it");
    add(Kind::frame, "that are frames");
    add(Kind::free, "that are small or far off");
    return fmt::format("{}", fmt::join(words, ", "));
  }

 private:
  enum class Kind { free, at_border, line, frame };

  const std::vector<Part>& parts() const { return found_.parts; }
  double side() const { return static_cast<double>(picture_.shorter_side()); }
  /// By which parts compete for being the drawing: a hair is long, and a blot has many pixels.
  double weight(std::size_t part) const { return length(part) * static_cast<double>(parts()[part].pixels); }
  double length(std::size_t part) const { return static_cast<double>(parts()[part].longer_side()); }

  Kind kind_of(const Part& part) const {
    // A one that was cut out tightly is as long as its picture, but not as narrow against that.
    const auto spans = [](std::size_t length, std::size_t of, std::size_t across, std::size_t of_across) {
      return 10 * length >= 9 * of && 12 * across <= length && 4 * across <= of_across;
    };
    if (spans(part.width(), picture_.width, part.height(), picture_.height) ||
        spans(part.height(), picture_.height, part.width(), picture_.width)) {
      return Kind::line;
    }
    if (is_frame(part)) return Kind::frame;
    const bool at_border = part.top == 0 || part.left == 0 || part.bottom + 1 == picture_.height ||
                           part.right + 1 == picture_.width;
    return at_border ? Kind::at_border : Kind::free;
  }

  /// Whether nearly all of a part lies at its edges, and another one of some size within.
  bool is_frame(const Part& part) const {
    if (5 * part.at_edges < 4 * part.pixels) return false;
    return std::ranges::any_of(parts(), [&](const Part& other) {
      return other.top > part.top && other.bottom < part.bottom && other.left > part.left &&
             other.right < part.right && 6 * other.longer_side() >= part.longer_side();
    });
  }

  std::optional<std::size_t> heaviest(Kind kind) const {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < parts().size(); ++i) {
      if (kinds_[i] == kind && (!best || weight(i) > weight(*best))) best = i;
    }
    return best;
  }

  const Picture& picture_;
  const Parts& found_;
  std::vector<Kind> kinds_;
};

/// The rectangle of what is left of `strength` on the areas of the kept parts, scaled so that the core of the
/// ink becomes 1.
Picture cut(const Picture& strength, const Parts& found, const std::vector<bool>& kept, float least) {
  Picture ink = strength;
  std::vector<float> core;
  Part all{.top = ink.height, .left = ink.width};
  for (std::size_t i = 0; i < ink.values.size(); ++i) {
    if (found.labels[i] == 0 || !kept[found.labels[i] - 1]) {
      ink.values[i] = 0.0f;
    } else if (ink.values[i] >= least) {
      core.push_back(ink.values[i]);
      const std::size_t y = i / ink.width, x = i % ink.width;
      all.top = std::min(all.top, y), all.bottom = std::max(all.bottom, y);
      all.left = std::min(all.left, x), all.right = std::max(all.right, x);
    }
  }
  const auto full = core.begin() + static_cast<std::ptrdiff_t>(kCore * static_cast<float>(core.size() - 1));
  std::nth_element(core.begin(), full, core.end());
  Picture part(1, all.height(), all.width());
  for (std::size_t y = 0; y < part.height; ++y) {
    for (std::size_t x = 0; x < part.width; ++x) {
      const float value = ink.at(0, all.top + y, all.left + x) / *full;
      part.at(0, y, x) = value < kFaintest ? 0.0f : std::min(value, 1.0f);
    }
  }
  return part;
}

}  // namespace

Drawing cut_out(const Ink& ink) {
  Picture strength = ink.strength;
  const auto reach =
      static_cast<std::size_t>(std::max(1.0, kReach * static_cast<double>(strength.shorter_side())));
  // Something darker than the drawing, such as a speck or a frame about a pencil's lines, would hide it.
  constexpr int kRounds = 4;
  std::string gone;
  for (int round = 0; round < kRounds; ++round) {
    const float most = *std::max_element(strength.values.begin(), strength.values.end());
    if (most < std::max(kVisible, kSureOfInk * ink.noise)) break;
    const float least = std::max(kPartOfInk * most, kSureOfInk * ink.noise);
    const Parts found = find_parts(strength, least, reach);
    const Selection selection(strength, found);
    if (const auto main = selection.main()) {
      const auto kept = selection.with_friends(*main);
      const std::string words = selection.left_out(kept);
      return {cut(strength, found, kept, least), gone + (gone.empty() || words.empty() ? "" : ", ") + words};
    }
    const std::string words = selection.left_out(std::vector<bool>(found.parts.size(), false));
    gone += (gone.empty() ? "" : ", ") + words;
    for (std::size_t i = 0; i < found.labels.size(); ++i) {
      if (found.labels[i] != 0) strength.values[i] = 0.0f;
    }
  }
  throw Error(gone.empty() ? "no digit to be seen: nothing stands out from the paper"
                           : fmt::format("no digit to be seen, only parts {}", gone));
}

}  // namespace convoy
