// Splits a CSV file into rows and fields, without trust in their lengths.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/data/byte_reader.h"
#include "engine/data/elements.h"

namespace convoy {

/// A table with more is refused: an image of 1024 x 1024 pixels in colour.
constexpr std::size_t kMostColumns = 3 * 1024 * 1024;

/// Reads fields one after another. A field is what lies between commas, or in double quotes; a row ends with
/// LF, CR LF, or the file. Empty rows are left out.
class CsvRows {
 public:
  /// Throws Error if the file cannot be read, or is in UTF-16.
  explicit CsvRows(const std::filesystem::path& file);

  /// Goes to the next row; false at the end of the file.
  bool next_row();

  /// Whether the row has another field, which `field` then is. Fails for one of more than 256 bytes and for
  /// quotes that do not close.
  bool next_field();

  /// The current field, without quotes.
  const std::string& field() const { return field_; }

  /// The current line and field in it, from 1.
  std::int64_t line() const { return line_; }
  std::int64_t column() const { return column_; }

  /// Throws Error if the current field looks like several that something else than commas separates.
  void refuse_other_separator() const;

  /// The file, the line and the column.
  InputName here() const;
  /// Throws Error that names them.
  [[noreturn]] void fail(const std::string& what) const { fail_at(column_, what); }
  /// The same for another column of the row.
  [[noreturn]] void fail_at(std::int64_t column, const std::string& what) const;

 private:
  static constexpr int kEnd = -1;

  int peek();
  int take();
  void read_plain();
  void read_quoted();
  void append(int c);

  std::string file_;
  ByteReader reader_;
  std::vector<std::uint8_t> chunk_;
  std::size_t at_ = 0, end_ = 0;
  std::string field_;
  std::int64_t line_ = 1;
  std::int64_t column_ = 0;
  bool row_open_ = false;
};

}  // namespace convoy
