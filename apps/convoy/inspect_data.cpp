// What there is to say of files with images and labels.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "apps/convoy/inspection.h"
#include "apps/convoy/printable.h"
#include "apps/convoy/tensorboard/event_file.h"
#include "apps/convoy/terminal.h"
#include "convoy/error.h"
#include "engine/core/file.h"
#include "engine/data/arrays.h"
#include "engine/data/byte_reader.h"
#include "engine/data/csv_rows.h"
#include "engine/data/idx.h"
#include "engine/io/contents.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

std::string type_name(const NumberType& type) {
  if (type.kind == NumberType::Kind::truth) return "bool";
  const char* kind = type.kind == NumberType::Kind::real           ? "float"
                     : type.kind == NumberType::Kind::signed_whole ? "int"
                                                                   : "uint";
  return fmt::format("{}{}", kind, 8 * type.bytes);
}

/// What elements are like, as they come.
class Elements {
 public:
  explicit Elements(const NumberType& type) : type_(type) {}

  void add(std::span<const std::uint8_t> bytes) {
    const auto width = static_cast<std::size_t>(type_.bytes);
    for (std::size_t at = 0; at + width <= bytes.size(); at += width)
      add_value(element_at(bytes.data() + at, type_));
  }

  std::int64_t count() const { return summary_.finite + summary_.nan + summary_.infinite; }

  /// Those of real numbers say how many are none; null where no element is finite.
  Json facts() const {
    if (count() == 0) return Json::object();
    const std::int64_t finite = summary_.finite;
    const auto number = [&](double value) { return finite > 0 ? Json(value) : Json(nullptr); };
    Json facts = {{"min", number(summary_.min)},
                  {"max", number(summary_.max)},
                  {"mean", number(finite > 0 ? sum_ / static_cast<double>(finite) : 0.0)}};
    if (type_.kind == NumberType::Kind::real) {
      facts["nan"] = summary_.nan;
      facts["infinite"] = summary_.infinite;
    }
    return facts;
  }

 private:
  void add_value(double value) {
    if (std::isnan(value)) {
      ++summary_.nan;
    } else if (std::isinf(value)) {
      ++summary_.infinite;
    } else {
      summary_.min = summary_.finite == 0 ? value : std::min(summary_.min, value);
      summary_.max = summary_.finite == 0 ? value : std::max(summary_.max, value);
      sum_ += value;
      ++summary_.finite;
    }
  }

  NumberType type_;
  ElementSummary summary_;
  double sum_ = 0.0;  // of the finite ones
};

Json facts_of(const NpyArray& array) {
  Elements elements(array.type);
  elements.add(array.elements);
  Json facts = {{"type", type_name(array.type)}, {"shape", array.shape}};
  facts.update(elements.facts());
  return facts;
}

Inspection inspect_archive(const fs::path& file) {
  Inspection inspection{.kind = "NumPy's arrays (.npz)"};
  inspection.facts = {{"bytes", fs::file_size(file)}};
  const auto arrays = open_arrays(file);
  Table table({"array", "shape", "type", "min", "max", "mean", "NaN", "inf"});
  Json all = Json::array();
  const auto number = [](const Json& value) {
    return value.is_number() ? fmt::format("{:.6g}", value.get<double>()) : "-";
  };
  for (const std::string& name : arrays->names()) {
    Json told = {{"name", name}};
    try {
      const Json facts = facts_of(arrays->read(name));
      table.add({printable(name), facts["shape"].dump(), facts["type"].get<std::string>(),
                 number(facts["min"]), number(facts["max"]), number(facts["mean"]),
                 number(facts.value("nan", Json())), number(facts.value("infinite", Json()))});
      told.update(facts);
    } catch (const Error& error) {
      // The error names the file, which whoever shows the problem does, too.
      const std::string what = error.what(), file_name = file.string() + ": ";
      const std::string problem = what.starts_with(file_name) ? what.substr(file_name.size()) : what;
      table.add({printable(name), "not read"});
      told["problem"] = problem;
      if (inspection.failure.empty()) inspection.failure = problem;
    }
    all.push_back(std::move(told));
  }
  inspection.facts["arrays"] = all.size();
  inspection.details["contents"] = std::move(all);
  inspection.table = table.str();
  return inspection;
}

}  // namespace

Inspection inspect_idx(const fs::path& file) {
  ByteReader reader(file);
  std::array<std::uint8_t, 4> magic{};
  reader.read(magic);
  const std::optional<NumberType> type = idx_type(magic[2]);
  if (!type) reader.fail(fmt::format("IDX elements of type 0x{:02x}, which there is none of", magic[2]));
  const std::int64_t width = type->bytes;
  std::vector<std::int64_t> dimensions;
  std::int64_t count = 1;
  for (int axis = 0; axis < magic[3]; ++axis) {
    std::array<std::uint8_t, 4> bytes{};
    if (reader.read(bytes) < bytes.size()) reader.fail("truncated within the IDX header");
    dimensions.push_back(std::int64_t{bytes[0]} << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]);
    if (__builtin_mul_overflow(count, dimensions.back(), &count)) reader.fail("the dimensions overflow");
  }
  Elements elements(*type);
  std::vector<std::uint8_t> block(static_cast<std::size_t>(width) << 16);
  while (elements.count() < count) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::int64_t>(count - elements.count(), 1 << 16) * width);
    const std::size_t got = reader.read(std::span(block).first(wanted));
    elements.add(std::span(block).first(got));
    if (got < wanted) reader.fail(fmt::format("truncated: {} elements of {}", elements.count(), count));
  }
  reader.expect_end();
  Inspection inspection{.kind = dimensions.size() <= 2   ? "an IDX file, of labels as its dimensions say"
                                : dimensions.size() <= 4 ? "an IDX file, of images as its dimensions say"
                                                         : "an IDX file"};
  inspection.facts = {{"bytes", fs::file_size(file)}, {"type", type_name(*type)}, {"shape", dimensions}};
  inspection.facts.update(elements.facts());
  return inspection;
}

Inspection inspect_arrays(const fs::path& file, bool is_archive) {
  if (is_archive) return inspect_archive(file);
  ByteReader reader(file);
  Inspection inspection{.kind = "a NumPy array (.npy)"};
  inspection.facts = {{"bytes", fs::file_size(file)}};
  inspection.facts.update(
      facts_of(read_npy({.read = [&](std::span<std::uint8_t> out) { return reader.read(out); },
                         .most_bytes = reader.most_bytes(),
                         .held_bytes = reader.held_bytes(),
                         .name = {file.string()}})));
  return inspection;
}

Inspection inspect_table(const fs::path& file) {
  constexpr std::size_t kMostShown = 8;
  CsvRows rows(file);
  std::vector<std::string> shown;  // of the first row
  std::size_t width = 0;
  std::int64_t count = 0;
  for (; rows.next_row(); ++count) {
    std::size_t columns = 0;
    for (; rows.next_field(); ++columns) {
      if (columns == kMostColumns) rows.fail(fmt::format("more than {} columns", kMostColumns));
      if (count == 0 && columns < kMostShown) shown.push_back(rows.field());
    }
    if (count == 0) width = columns;
    if (columns != width) {
      rows.fail(fmt::format("the row ends with {} columns, the first one has {}", columns, width));
    }
  }
  Inspection inspection{.kind = "a table (CSV)"};
  inspection.facts = {{"bytes", fs::file_size(file)}, {"rows", count}, {"columns", width}};
  if (!shown.empty()) inspection.facts["first_row"] = shown;
  return inspection;
}

Inspection inspect_events(const fs::path& file) {
  InputFile input(file);
  Inspection inspection{.kind = "events for TensorBoard"};
  constexpr std::uint64_t kAround = kRecordHead + 4;  // the data's checksum stands behind them
  std::int64_t records = 0;
  std::uint64_t at = 0;
  const auto bytes = static_cast<std::uint64_t>(input.bytes());
  while (at < bytes) {
    input.seek(static_cast<std::int64_t>(at));
    const auto length = record_length(input.read_text(kRecordHead));
    if (!length || *length > bytes || at + *length + kAround > bytes) break;
    at += *length + kAround;
    ++records;
  }
  inspection.facts = {{"bytes", bytes}, {"records", records}};
  if (at < bytes) inspection.failure = fmt::format("damaged or cut off behind record {}", records);
  return inspection;
}

}  // namespace convoy
