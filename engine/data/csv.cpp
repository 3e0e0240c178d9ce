#include "engine/data/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "convoy/error.h"
#include "engine/core/lower_case.h"
#include "engine/data/class_count.h"
#include "engine/data/csv_rows.h"
#include "engine/data/flat_images.h"
#include "engine/data/host_memory.h"
#include "engine/data/split.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr auto kLabelNames = std::to_array<std::string_view>({"label", "class", "target", "y"});
constexpr auto kIndexNames =
    std::to_array<std::string_view>({"id", "index", "unnamed: 0"});  // the last: pandas

struct Number {
  double value = 0.0;
  bool real = false;  // written with a decimal point or an exponent
};

std::string_view without_blanks(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::optional<Number> number_of(const std::string& text) {
  const std::string_view digits = without_blanks(text);
  Number number{.real = digits.find_first_of(".eE") != std::string_view::npos};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number.value);
  const bool whole_text = error == std::errc{} && end == digits.data() + digits.size();
  return whole_text ? std::optional(number) : std::nullopt;
}

bool is_square(std::int64_t pixels) {
  const std::int64_t side = std::lround(std::sqrt(static_cast<double>(pixels)));
  return side * side == pixels;
}

/// Collects pixels. Only the later ones show whether they are from 0 to 255 or from 0 to 1.
class Pixels {
 public:
  /// False for one that fits neither.
  bool add(const Number& number) {
    const double value = number.value;
    const bool whole = value == std::floor(value);
    if (!unit_ && !whole && largest_ <= 1) become_unit();
    if (unit_ ? !(value >= 0.0 && value <= 1.0) : !(whole && value >= 0.0 && value <= 255.0)) return false;
    bytes_.push_back(static_cast<std::uint8_t>(std::lround(unit_ ? 255.0 * value : value)));
    if (!unit_) largest_ = std::max(largest_, bytes_.back());
    real_ = real_ || number.real;
    return true;
  }

  std::vector<std::uint8_t> take() {
    if (!unit_ && real_ && largest_ <= 1) become_unit();  // 0.0 and 1.0
    return std::move(bytes_);
  }

  std::int64_t count() const { return std::ssize(bytes_); }

 private:
  void become_unit() {
    unit_ = true;
    for (std::uint8_t& byte : bytes_) byte = static_cast<std::uint8_t>(byte * 255);
  }

  std::vector<std::uint8_t> bytes_;
  std::uint8_t largest_ = 0;
  bool unit_ = false;  // from 0 to 1
  bool real_ = false;
};

enum class Column : std::uint8_t { pixel, label, left_out };

/// What the columns are, by the names in the first row. No label if none of the names is one's.
std::vector<Column> named_columns(const std::vector<std::string>& names) {
  std::vector<Column> columns;
  for (const std::string& name : names) {
    const std::string small = lower_case(without_blanks(name));
    const bool index = small.empty() || std::ranges::find(kIndexNames, small) != kIndexNames.end();
    const bool label = std::ranges::find(kLabelNames, small) != kLabelNames.end();
    columns.push_back(index ? Column::left_out : label ? Column::label : Column::pixel);
  }
  return columns;
}

/// One table on its way to a data set.
class Table {
 public:
  Table(const fs::path& file, const LoadOptions& options) : rows_(file), options_(options) {}

  /// Reads the first row. False if it has names, and none is a label's.
  bool begin() {
    if (!rows_.next_row()) rows_.fail("there is no row; get the file again");
    std::vector<std::string> first;
    while (rows_.next_field()) {
      if (first.size() == kMostColumns) rows_.fail(fmt::format("more than {} columns", kMostColumns));
      first.push_back(rows_.field());
    }
    if (first.size() < 2) rows_.refuse_other_separator();
    if (first.size() < 2) rows_.fail("one column alone: fields are to be separated by commas");
    const bool named =
        !std::ranges::all_of(first, [](const std::string& text) { return number_of(text).has_value(); });
    columns_ = named ? named_columns(first) : std::vector<Column>(first.size(), Column::pixel);
    if (!named) columns_[0] = Column::label;
    const auto labels = std::ranges::count(columns_, Column::label);
    if (labels > 1) rows_.fail("several columns are named as the label's; keep one");
    if (labels == 0) return false;
    const std::int64_t pixels = std::ranges::count(columns_, Column::pixel);
    if (options_.height == 0 && pixels > 2 && !is_square(pixels) && is_square(pixels - 1)) {
      rows_.fail(
          fmt::format("rows of {} pixels are one more than a square's: remove the column that is neither "
                      "a label nor a pixel, or call it id in the first row",
                      pixels));
    }
    image_ = shape_of_row(pixels, options_, rows_.here());
    if (!named) {
      for (std::size_t i = 0; i < first.size(); ++i) add(i, first[i]);
    }
    return true;
  }

  void read_rest() {
    while (rows_.next_row()) {
      std::size_t column = 0;
      for (; rows_.next_field(); ++column) {
        if (column < columns_.size()) add(column, rows_.field());
      }
      if (column != columns_.size()) {
        rows_.fail(
            fmt::format("the row ends with {} columns, the first one has {}", column, columns_.size()));
      }
      require_memory(pixels_.count(), rows_.here(), memory_);
    }
    if (labels_.empty()) rows_.fail("there is no row with numbers");
  }

  Dataset take() {
    Dataset dataset;
    dataset.image = image_;
    dataset.labels = std::move(labels_);
    dataset.pixels = pixels_.take();
    return dataset;
  }

 private:
  void add(std::size_t column, const std::string& text) {
    if (columns_[column] == Column::left_out) return;
    const std::optional<Number> number = number_of(text);
    if (columns_[column] == Column::pixel) {
      if (!number || !pixels_.add(*number)) {
        rows_.fail_at(static_cast<std::int64_t>(column) + 1,
                      "a pixel has to be a whole number from 0 to 255, or all of them from 0 to 1");
      }
      return;
    }
    const double label = number ? number->value : -1.0;
    if (!(label >= 0.0 && label <= 255.0) || label != std::floor(label)) {
      rows_.fail_at(static_cast<std::int64_t>(column) + 1, "a label has to be a whole number from 0 to 255");
    }
    labels_.push_back(static_cast<std::uint8_t>(label));
  }

  CsvRows rows_;
  const LoadOptions& options_;
  const std::int64_t memory_ = host_memory_bytes();
  std::vector<Column> columns_;
  Shape image_;
  std::vector<std::uint8_t> labels_;
  Pixels pixels_;
};

/// The name in small letters without .csv or .csv.gz; empty for another file.
std::string stem_of(const fs::path& file) {
  std::string name = lower_case(file.filename().string());
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (!name.ends_with(".csv")) return {};
  name.resize(name.size() - 4);
  return name;
}

bool is_of_half(const std::string& stem, const std::string& half) {
  return stem == half || stem.ends_with("_" + half) || stem.ends_with("-" + half);
}

struct CsvFiles {
  fs::path train;  // empty: there is none
  fs::path test;   // likewise
  std::string problem;
};

CsvFiles csv_files(const fs::path& data) {
  std::error_code code;
  if (!fs::is_directory(data, code)) return {data, {}, {}};
  std::vector<fs::path> tables, train, test;
  for (fs::directory_iterator at(data, code); !code && at != fs::directory_iterator(); at.increment(code)) {
    const std::string stem = stem_of(at->path());
    if (stem.empty() || stem.starts_with('.')) continue;
    tables.push_back(at->path());
    if (is_of_half(stem, "train")) train.push_back(at->path());
    if (is_of_half(stem, "test")) test.push_back(at->path());
  }
  if (train.empty() && tables.size() == 1) train = tables;
  if (train.size() == 1 && test.size() <= 1) return {train[0], test.empty() ? fs::path() : test[0], {}};
  const bool none = train.empty();
  const std::vector<fs::path>& several = train.size() > 1 ? train : test;
  return {{},
          {},
          none ? fmt::format("{} holds no train.csv", data.string())
               : fmt::format("{} and {} are both there; name one file with --data", several[0].string(),
                             several[1].string())};
}

}  // namespace

bool is_csv_data(const fs::path& data) {
  std::error_code code;
  if (!fs::is_directory(data, code)) return fs::exists(data, code) && !stem_of(data).empty();
  return !csv_files(data).train.empty();
}

std::optional<Dataset> read_csv(const fs::path& file, const LoadOptions& options) {
  Table table(file, options);
  if (!table.begin()) return std::nullopt;
  table.read_rest();
  Dataset dataset = table.take();
  dataset.name = file.filename().string();
  return dataset;
}

DatasetPair read_csv_set(const fs::path& data, const LoadOptions& options) {
  const CsvFiles files = csv_files(data);
  if (!files.problem.empty()) throw Error(files.problem);
  std::optional<Dataset> test;
  if (!files.test.empty()) {
    test = read_csv(files.test, options);
    if (!test && options.say)
      options.say(fmt::format("{} has no labels and is left out", files.test.string()));
  }
  require_split(files.train, test.has_value(), options);
  std::optional<Dataset> train = read_csv(files.train, options);
  if (!train) {
    throw Error(fmt::format("{} has no column with labels: none is called label, class, target or y",
                            files.train.string()));
  }
  if (test) {
    count_classes(std::array{LabelledPart{&*train, files.train}, LabelledPart{&*test, files.test}},
                  options.say);
    return {std::move(*train), std::move(*test)};
  }
  count_classes(std::array{LabelledPart{&*train, files.train}}, options.say);
  return split_as_asked(*train, options);
}

}  // namespace convoy
