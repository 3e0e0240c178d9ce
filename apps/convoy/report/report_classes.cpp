// The parts of a report that are about the test images: who was taken for whom, and the worst mistakes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "apps/convoy/classification.h"
#include "apps/convoy/report/html.h"
#include "apps/convoy/report/pictures.h"
#include "apps/convoy/report/report.h"

namespace convoy {
namespace {

constexpr std::size_t kWorst = 24;        // mistakes that are shown
constexpr int kTileSide = 112;            // CSS pixels: MNIST's four times
constexpr std::size_t kMostColumns = 20;  // a table of more classes nobody reads: it becomes a picture
constexpr std::size_t kMostConfusions = 20;

bool is_tested(const ReportContent& content) {
  return content.test != nullptr && content.logits != nullptr && !content.logits->empty();
}

/// With a space that does not break.
std::string probability_in_words(double probability) {
  return std::isnan(probability) ? "–" : fmt::format("{:.1f}&nbsp;%", 100.0 * probability);
}

std::string percent_or_dash(std::optional<double> part) {
  return part ? fmt::format("{:.2f}", 100.0 * *part) : "–";
}

/// The largest number of one class taken for one other.
std::int64_t most_confused(const Classification& result) {
  std::int64_t most = 1;
  for (std::size_t truth = 0; truth < result.classes(); ++truth) {
    for (std::size_t c = 0; c < result.classes(); ++c) {
      if (c != truth) most = std::max(most, result.count(truth, c));
    }
  }
  return most;
}

std::string confusion_cell(const Classification& result, std::size_t truth, std::size_t c, double most) {
  const std::int64_t count = result.count(truth, c);
  if (truth == c) return fmt::format("<td class=\"right\">{}</td>", count);
  if (count == 0) return "<td class=\"soft\">·</td>";
  constexpr double kFaintest = 0.12, kStrongest = 0.5;  // so that the number stays readable
  const double strength = kFaintest + (kStrongest - kFaintest) * std::sqrt(static_cast<double>(count) / most);
  return fmt::format(R"html(<td style="background:rgba(var(--bad),{:.2f})">{}</td>)html", strength, count);
}

std::string confusion_table(const Classification& result, const std::vector<std::string>& names) {
  const auto most = static_cast<double>(most_confused(result));
  const bool long_names = std::ranges::any_of(names, [](const std::string& name) { return name.size() > 3; });
  std::string out =
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion matrix\"><table "
      "class=\"confusion\"><caption><span>Rows are what an image is, columns what it was taken "
      "for</span></caption>"
      "<thead><tr><td></td>";
  for (const std::string& name : names) {
    out += fmt::format("<th scope=\"col\"{}>{}</th>", long_names ? " class=\"long\"" : "", escaped(name));
  }
  out += "</tr></thead><tbody>\n";
  for (std::size_t truth = 0; truth < result.classes(); ++truth) {
    out += fmt::format("<tr><th scope=\"row\">{}</th>", escaped(names[truth]));
    for (std::size_t c = 0; c < result.classes(); ++c) out += confusion_cell(result, truth, c, most);
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

struct Confusion {
  std::size_t truth, predicted;
  std::int64_t count;
};

/// The pairs that are confused most, first.
std::vector<Confusion> worst_confusions(const Classification& result) {
  std::vector<Confusion> all;
  for (std::size_t truth = 0; truth < result.classes(); ++truth) {
    for (std::size_t c = 0; c < result.classes(); ++c) {
      if (c != truth && result.count(truth, c) > 0) all.push_back({truth, c, result.count(truth, c)});
    }
  }
  std::ranges::stable_sort(all, std::greater{}, &Confusion::count);
  if (all.size() > kMostConfusions) all.resize(kMostConfusions);
  return all;
}

/// Of many classes: a picture with a pixel for each pair, and the pairs that are confused most.
std::string confusion_picture(const Classification& result, const std::vector<std::string>& names) {
  const auto classes = static_cast<int>(result.classes());
  constexpr int kWidest = 480;
  std::string out = fmt::format(
      "<figure>{}<figcaption>Rows are what an image is, columns what it was taken for; the lighter, the "
      "more often</figcaption></figure>\n",
      image(confusion_pixels(result), fmt::format("Confusion matrix of {} classes", classes),
            std::max(kWidest / classes, 1) * classes)
          .insert(4, " class=\"heat\""));
  std::vector<std::vector<Cell>> rows;
  for (const Confusion& confusion : worst_confusions(result)) {
    rows.push_back({{escaped(names[confusion.truth])},
                    {escaped(names[confusion.predicted])},
                    {std::to_string(confusion.count), true}});
  }
  if (rows.empty()) return out + "<p>No image was taken for another class.</p>\n";
  return out + table("The most frequent confusions", {"is", "taken for", "images"}, rows);
}

std::string class_table(const Classification& result, const std::vector<std::string>& names) {
  std::vector<std::vector<Cell>> rows;
  for (std::size_t c = 0; c < result.classes(); ++c) {
    rows.push_back({{escaped(names[c])},
                    {std::to_string(result.samples_of(c)), true},
                    {percent_or_dash(result.precision(c)), true},
                    {percent_or_dash(result.recall(c)), true}});
  }
  return table(
      "Precision: of what was taken for the class, how much is of it. Recall: of the class, how much was "
      "found",
      {"class", "images", "precision, %", "recall, %"}, rows);
}

}  // namespace

std::string classes_section(const ReportContent& content) {
  if (!is_tested(content)) return "";
  const auto& names = content.class_names;
  const Classification result(*content.logits, content.test->labels, std::ssize(names));
  const std::string confusion =
      result.classes() <= kMostColumns ? confusion_table(result, names) : confusion_picture(result, names);
  return section("classes", "Classes",
                 "<div class=\"pair\"><div>" + confusion + "</div><div>" + class_table(result, names) +
                     "</div></div>\n");
}

std::string mistakes_section(const ReportContent& content) {
  if (!is_tested(content)) return "";
  const auto& names = content.class_names;
  const Dataset& test = *content.test;
  const std::vector<Mistake> mistakes = surest_mistakes(*content.logits, test.labels, names.size());
  if (mistakes.empty()) {
    return section("mistakes", "Mistakes", "<p>All test images were recognised.</p>\n");
  }
  const std::size_t shown = std::min(kWorst, mistakes.size());
  std::string tiles;
  for (std::size_t i = 0; i < shown; ++i) {
    const Mistake& mistake = mistakes[i];
    const std::string alt = fmt::format("Test image {}, a {} taken for {}", mistake.sample,
                                        names[mistake.truth], names[mistake.predicted]);
    tiles += fmt::format("<li>{}says <b>{}</b> · {}<br>is <b>{}</b> · {}</li>\n",
                         image(pixels_of(test, mistake.sample), alt, kTileSide),
                         escaped(names[mistake.predicted]), probability_in_words(mistake.probability),
                         escaped(names[mistake.truth]), probability_in_words(mistake.probability_of_truth));
  }
  const std::string intro = fmt::format(
      "<p>{} of {} test images were taken for another class. {} of which the model was surest: what it says, "
      "then what the image is, each with its probability.</p>\n",
      grouped(static_cast<double>(mistakes.size())), grouped(static_cast<double>(test.count())),
      shown < mistakes.size() ? fmt::format("The {}", shown) : "All, first those");
  return section("mistakes", "Mistakes", intro + "<ul class=\"tiles mistakes\">\n" + tiles + "</ul>\n");
}

std::string filters_section(const StateDict& state) {
  const std::vector<Picture8> filters = first_filters(state);
  if (filters.empty()) return "";
  constexpr int kSide = 60;
  std::string tiles;
  for (std::size_t i = 0; i < filters.size(); ++i) {
    tiles += "<li>" + image(filters[i], fmt::format("Filter {}", i), kSide) + "</li>\n";
  }
  return section(
      "filters", "Filters of the first layer",
      "<p class=\"soft\">One scale for all: middle grey is a weight of 0, white the largest, black "
      "its negative.</p>\n<ul class=\"tiles filters\">\n" +
          tiles + "</ul>\n");
}

}  // namespace convoy
