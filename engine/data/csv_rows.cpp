#include "engine/data/csv_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace convoy {
namespace {

constexpr std::size_t kChunk = 64 << 10, kLongestField = 256;

}  // namespace

CsvRows::CsvRows(const std::filesystem::path& file) : file_(file.string()), reader_(file), chunk_(kChunk) {
  peek();
  const std::span begin(chunk_.data(), std::min<std::size_t>(end_, 2));
  const bool marked =
      end_ >= 2 && ((begin[0] == 0xff && begin[1] == 0xfe) || (begin[0] == 0xfe && begin[1] == 0xff));
  if (marked || std::ranges::find(begin, 0) != begin.end())  // of two bytes a letter one is 0
    InputName{file_}.fail("the table is in UTF-16; save it in UTF-8: iconv -f UTF-16 -t UTF-8");
  for (const int c : {0xef, 0xbb, 0xbf}) {  // the mark that Excel puts before UTF-8
    if (peek() == c) take();
  }
}

InputName CsvRows::here() const { return {fmt::format("{}: line {}, column {}", file_, line_, column_)}; }

void CsvRows::fail_at(std::int64_t column, const std::string& what) const {
  InputName{fmt::format("{}: line {}, column {}", file_, line_, column)}.fail(what);
}

int CsvRows::peek() {
  if (at_ == end_) {
    at_ = 0;
    end_ = reader_.read(chunk_);
    if (end_ == 0) return kEnd;
  }
  return chunk_[at_];
}

int CsvRows::take() {
  const int c = peek();
  if (c == kEnd) return c;
  ++at_;
  if (c == '\n') ++line_;
  return c;
}

bool CsvRows::next_row() {
  while (row_open_ && next_field()) {
  }
  while (peek() == '\n' || peek() == '\r') take();
  column_ = 0;
  row_open_ = peek() != kEnd;
  return row_open_;
}

bool CsvRows::next_field() {
  if (!row_open_) return false;
  ++column_;
  field_.clear();
  if (peek() == '"') {
    read_quoted();
  } else {
    read_plain();
  }
  // What ends the row is left to next_row, so that the line is still that of the field.
  row_open_ = peek() == ',';
  if (row_open_) take();
  return true;
}

void CsvRows::refuse_other_separator() const {
  const std::size_t at = field_.find_first_of(";\t|");
  if (at == std::string::npos) return;
  const std::string name = field_[at] == '\t' ? "tabs" : fmt::format("'{}'", field_[at]);
  fail(fmt::format("fields are separated by {}; separate them by commas", name));
}

void CsvRows::append(int c) {
  if (field_.size() == kLongestField) refuse_other_separator();
  if (field_.size() == kLongestField) fail(fmt::format("more than {} characters", kLongestField));
  field_ += static_cast<char>(c);
}

void CsvRows::read_plain() {
  for (int c = peek(); c != ',' && c != '\n' && c != '\r' && c != kEnd; c = peek()) append(take());
}

void CsvRows::read_quoted() {
  take();
  for (;;) {
    const int c = take();
    if (c == kEnd) fail("the quotes are not closed");
    if (c == '"') {
      if (peek() != '"') break;
      take();
    }
    append(c);
  }
  if (const int c = peek(); c != ',' && c != '\n' && c != '\r' && c != kEnd)
    fail("no comma behind the quotes");
}

}  // namespace convoy
