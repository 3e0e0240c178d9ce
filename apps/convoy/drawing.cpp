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
// Pixels: what is shorter is never a drawing, however large the picture is.
constexpr double kSmallest = 8.0;
// Lengths as shares of the main part's longer side.
constexpr double kNear = 0.12, kFar = 0.25, kFriend = 0.12, kGrown = 1.4;
// Bars: a length in widths at least, and an upright one's in lengths of the drawing.
constexpr std::size_t kBar = 8;
constexpr double kTallBar = 1.5;

class Selection {
 public:
  Selection(const Picture& picture, const Parts& found) : picture_(picture), found_(found) {
    kinds_.reserve(parts().size());
    for (const Part& part : parts()) kinds_.push_back(kind_of(part));
    mark_bars();
  }

  /// The part that is the drawing or most of it; empty if there is nothing but dust, lines and frames.
  std::optional<std::size_t> main() const {
    const auto free = heaviest(Kind::free), cut = heaviest(Kind::at_border);
    const bool free_is_drawing = free && length(*free) >= least();
    if (!cut || length(*cut) < least()) return free_is_drawing ? free : std::nullopt;
    if (free_is_drawing && (length(*free) >= kSureDrawing * side() || 3.0 * length(*free) >= length(*cut))) {
      return free;
    }
    return cut;
  }

  /// What may be the drawing where main() finds none: a line that ends within the picture, as a straight one
  /// does, or a digit that is small against its picture. Empty if another part comes near to it in size.
  std::optional<std::size_t> unusual() const {
    const auto best = heaviest_where([&](std::size_t i) { return may_be_unusual(i); });
    if (!best || length(*best) < kSmallest) return std::nullopt;
    const std::vector<bool> kept = with_friends(*best);
    for (std::size_t i = 0; i < parts().size(); ++i) {
      if (!kept[i] && may_be_unusual(i) && 2.0 * length(i) > length(*best)) return std::nullopt;
    }
    return best;
  }

  /// Why a part that unusual() found is one, in words.
  std::string why_unusual(std::size_t part) const {
    return kinds_[part] == Kind::line
               ? "took a line across it for the drawing, as nothing else is"
               : fmt::format("took a part of {} pixels for the drawing, small as it is on {} x {}",
                             parts()[part].longer_side(), picture_.width, picture_.height);
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
    const auto add = [&](Kind kind, const char* one, const char* many) {
      std::size_t count = 0, longest = 0;
      for (std::size_t i = 0; i < parts().size(); ++i) {
        if (kept[i] || kinds_[i] != kind) continue;
        ++count;
        longest = std::max(longest, parts()[i].longer_side());
      }
      if (count == 1) words.push_back(fmt::format("1 {} (of {} pixels)", one, longest));
      if (count > 1) words.push_back(fmt::format("{} {} (the longest of {} pixels)", count, many, longest));
    };
    add(Kind::at_border, "part at the border", "parts at the border");
    add(Kind::line, "line across it", "lines across it");
    add(Kind::bar, "bar beside the drawing", "bars beside the drawing");
    add(Kind::frame, "frame", "frames");
    add(Kind::free, "part that is small or far off", "parts that are small or far off");
    return fmt::format("{}", fmt::join(words, ", "));
  }

 private:
  enum class Kind { free, at_border, line, bar, frame };

  const std::vector<Part>& parts() const { return found_.parts; }
  double side() const { return static_cast<double>(picture_.shorter_side()); }
  double least() const { return std::max(4.0, kDrawing * side()); }
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

  /// Lines that are ruled or drawn under or beside a digit: thin, and straight at least within their
  /// rectangle. They are told only beside a part that is more like a digit.
  void mark_bars() {
    const auto flat = [&](std::size_t i) { return parts()[i].width() >= kBar * parts()[i].height(); };
    const auto upright = [&](std::size_t i) { return parts()[i].height() >= kBar * parts()[i].width(); };
    const auto competes = [&](std::size_t i) {
      return length(i) >= least() && (kinds_[i] == Kind::free || kinds_[i] == Kind::at_border);
    };
    // A flat bar is no digit. One at the top of a part and no wider may be a 5's, which is often apart.
    if (const auto digit = heaviest_where([&](std::size_t i) { return competes(i) && !flat(i); })) {
      const Part& of = parts()[*digit];
      for (std::size_t i = 0; i < parts().size(); ++i) {
        const bool is_of_five =
            parts()[i].width() <= of.longer_side() && 2 * parts()[i].top <= of.top + of.bottom;
        if (competes(i) && flat(i) && !is_of_five) kinds_[i] = Kind::bar;
      }
    }
    // An upright one may be a 1, if there is no larger drawing than what lies about it.
    const auto digit = heaviest_where([&](std::size_t i) {
      return kinds_[i] == Kind::free && !flat(i) && !upright(i) && length(i) >= kSureDrawing * side();
    });
    if (!digit) return;
    for (std::size_t i = 0; i < parts().size(); ++i) {
      if (competes(i) && upright(i) && length(i) >= kTallBar * length(*digit)) kinds_[i] = Kind::bar;
    }
  }

  /// Whether a part is a drawing for want of a better one: not a frame, nor a line from border to border.
  bool may_be_unusual(std::size_t i) const {
    if (kinds_[i] != Kind::line) return kinds_[i] != Kind::frame;
    const Part& part = parts()[i];
    const auto reaches = [](std::size_t begin, std::size_t end, std::size_t of) {
      return 100 * begin <= of && 100 * (of - 1 - end) <= of;
    };
    return part.width() > part.height() ? !reaches(part.left, part.right, picture_.width)
                                        : !reaches(part.top, part.bottom, picture_.height);
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
    return heaviest_where([&](std::size_t i) { return kinds_[i] == kind; });
  }

  template <typename Choice>
  std::optional<std::size_t> heaviest_where(Choice chosen) const {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < parts().size(); ++i) {
      if (chosen(i) && (!best || weight(i) > weight(*best))) best = i;
    }
    return best;
  }

  const Picture& picture_;
  const Parts& found_;
  std::vector<Kind> kinds_;
};

/// Takes off what is wider than strokes and fainter than ink, such as a stripe of shadow that is too narrow
/// to be told from ink before the drawing's size is known: a morphological opening, as part of the light.
Picture without_shadows(const Picture& strength, std::size_t radius, float least) {
  Picture wide = strength;
  for (float& value : wide.values) value = -value;
  wide = dilated(wide, radius);
  for (float& value : wide.values) value = -value;
  wide = dilated(wide, radius);
  Picture result = strength;
  for (std::size_t i = 0; i < result.values.size(); ++i) {
    const float shadow = wide.values[i];
    if (shadow < least) result.values[i] = (result.values[i] - shadow) / (1.0f - shadow);
  }
  return result;
}

/// The rectangle of what is left of `strength` on the areas of the kept parts, scaled so that the core of the
/// ink becomes 1. Empty if nothing is left: what was seen was hardly darker than a shadow about it.
std::optional<Picture> cut(const Picture& strength, const Parts& found, const std::vector<bool>& kept,
                           float least) {
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
  if (core.empty()) return std::nullopt;
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

/// Looks for the drawing, the strongest ink first. `gone` becomes what was seen and is none.
std::optional<Drawing> look(const Ink& ink, bool for_unusual, std::string& gone) {
  Picture strength = ink.strength;
  const auto reach =
      static_cast<std::size_t>(std::max(1.0, kReach * static_cast<double>(strength.shorter_side())));
  // Something darker than the drawing, such as a speck or a frame about a pencil's lines, would hide it.
  constexpr int kRounds = 4;
  gone.clear();
  const auto and_words = [&](const std::string& words) {
    return gone + (gone.empty() || words.empty() ? "" : ", ") + words;
  };
  for (int round = 0; round < kRounds; ++round) {
    const float most = *std::max_element(strength.values.begin(), strength.values.end());
    if (most < std::max(kVisible, kSureOfInk * ink.noise)) break;
    const float least = std::max(kPartOfInk * most, kSureOfInk * ink.noise);
    const Parts found = find_parts(strength, least, reach);
    const Selection selection(strength, found);
    if (const auto main = for_unusual ? selection.unusual() : selection.main()) {
      const auto kept = selection.with_friends(*main);
      // Strokes are narrower than a third of the drawing, and what is wider is ink if it is as strong.
      const std::size_t radius = std::max<std::size_t>(2, found.parts[*main].longer_side() / 6);
      if (auto part = cut(without_shadows(strength, radius, least), found, kept, least)) {
        return Drawing{*std::move(part), and_words(selection.left_out(kept)),
                       for_unusual ? selection.why_unusual(*main) : ""};
      }
    }
    gone = and_words(selection.left_out(std::vector<bool>(found.parts.size(), false)));
    for (std::size_t i = 0; i < found.labels.size(); ++i) {
      if (found.labels[i] != 0) strength.values[i] = 0.0f;
    }
  }
  return std::nullopt;
}

}  // namespace

Drawing cut_out(const Ink& ink) {
  std::string gone;
  // A pencil's digit comes before a darker line or speck, so all ink is looked at before what is unusual.
  for (const bool for_unusual : {false, true}) {
    if (auto drawing = look(ink, for_unusual, gone)) return *std::move(drawing);
  }
  throw Error(fmt::format("no digit to be seen, {}; crop it to the digit, or --framing fit takes it whole",
                          gone.empty() ? "nothing stands out from the paper" : "only " + gone));
}

}  // namespace convoy
