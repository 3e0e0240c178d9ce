// The output of the subcommands: aligned tables, lines of JSON, and a progress bar on a terminal.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace convoy {

/// Keeps the members of an object in the order in which they were written.
using Json = nlohmann::ordered_json;

/// Whether standard output gets colours and a progress bar. It does if it is a terminal, NO_COLOR is unset or
/// empty, and TERM is not "dumb".
bool fancy_output();

/// `text` in bold, green or red if `fancy_output()`, else as it is.
std::string bold(const std::string& text);
std::string green(const std::string& text);
std::string red(const std::string& text);

/// Writes text to standard output as for_terminal makes it. What cannot be written ends no training, which is
/// saved first: the stream remembers, and main reports it.
void put(const std::string& text);

/// Writes text that another program reads: as it is, but to a terminal as put does.
void put_for_programs(const std::string& text);

/// Writes one line of JSON to standard output and flushes it, so that a program can read it at once. Bytes
/// that are not UTF-8 are replaced.
void emit(const Json& object);

/// For one of several processes that do the same: its errors begin with "rank RANK: ", and of all ranks but 0
/// nothing else is heard.
void speak_as_rank(int rank);

/// Writes "convoy: MESSAGE" to standard error, as printable makes it one line.
void say(const std::string& message);

/// Writes "convoy: note: MESSAGE" to standard error.
void say_note(const std::string& message);

/// Writes "convoy: error: MESSAGE" to standard error. Line breaks in the message become spaces.
void say_error(std::string message);

/// Rows of text under titles, by its width in a terminal. The first column is flush left, the others right.
class Table {
 public:
  explicit Table(std::vector<std::string> titles) : rows_{std::move(titles)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  /// Makes another column flush left.
  void left(std::size_t column) { left_.push_back(column); }

  /// The table as text, with a line break after each row.
  std::string str() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> left_ = {0};
};

/// What a progress bar shows in a terminal of so many columns: "[###...] 50 %  note", in less than a line.
/// The bar gets narrower before the note is cut.
std::string progress_line(double fraction, const std::string& note, std::size_t columns);

/// The notes of a progress line, joined by ", " and each whole, in so many columns. If they do not fit, those
/// that stand behind in the order of `importance` (their indices, the most important first) are left out.
std::string fitting_notes(const std::vector<std::string>& notes, const std::vector<std::size_t>& importance,
                          std::size_t columns);

/// A progress bar that redraws its line. Does nothing unless `fancy_output()`.
class ProgressBar {
 public:
  ~ProgressBar() { clear(); }
  /// `fraction` from 0 to 1; `note` stands behind the bar.
  void draw(double fraction, const std::string& note);
  /// With several notes, of which a narrow terminal shows the most important, see fitting_notes.
  void draw(double fraction, const std::vector<std::string>& notes,
            const std::vector<std::size_t>& importance);
  /// Erases the bar, so that an ordinary line can be printed.
  void clear();

 private:
  bool drawn_ = false;
};

/// Reports what it takes to have data: decisions on standard error, and on a bar if `with_bar` the progress
/// of a download and of the decoding of pictures.
class DownloadReport {
 public:
  explicit DownloadReport(bool with_bar) : with_bar_(with_bar) {}
  void say(const std::string& message);
  void progress(const std::string& file, std::int64_t done, std::int64_t total);
  void decoding(std::int64_t done, std::int64_t total);
  /// Erases the bar.
  void clear() { bar_.clear(); }

 private:
  bool with_bar_;
  ProgressBar bar_;
};

/// "1:02:03" or "2:03", rounded up to whole seconds; "?" if not finite.
std::string duration(double seconds);

}  // namespace convoy
