// What the subcommands print: aligned tables, lines of JSON, and a progress bar where a person is looking.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace convoy {

/// JSON objects keep the order in which their members were written.
using Json = nlohmann::ordered_json;

/// Whether standard output is a terminal and NO_COLOR is unset: then it gets colours and a progress bar.
bool fancy_output();

/// `text` in bold, green or red if `fancy_output()`, else as it is.
std::string bold(const std::string& text);
std::string green(const std::string& text);
std::string red(const std::string& text);

/// Writes one line of JSON to standard output and flushes it, so that a reader sees it at once.
void emit(const Json& object);

/// Writes a message to standard error.
void say(const std::string& message);

/// Writes "convoy: error: ..." to standard error, on one line, whatever a library wrote.
void say_error(std::string message);

/// Rows of text under titles: the first column flush left, the others flush right.
class Table {
 public:
  explicit Table(std::vector<std::string> titles) : rows_{std::move(titles)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  /// Flush-left columns, for words; column 0 is one already.
  void left(std::size_t column) { left_.push_back(column); }

  /// With a line end after each row.
  std::string str() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> left_ = {0};
};

/// A bar that rewrites its own line. Does nothing unless `fancy_output()`.
class ProgressBar {
 public:
  ~ProgressBar() { clear(); }
  /// `fraction` from 0 to 1; `note` stands behind the bar.
  void draw(double fraction, const std::string& note);
  /// Makes room for an ordinary line.
  void clear();

 private:
  bool drawn_ = false;
};

/// Tells of downloads: decisions on standard error, and how far a file is on a bar if `with_bar`.
class DownloadReport {
 public:
  explicit DownloadReport(bool with_bar) : with_bar_(with_bar) {}
  void say(const std::string& message);
  void progress(const std::string& file, std::int64_t done, std::int64_t total);

 private:
  bool with_bar_;
  ProgressBar bar_;
};

/// "1:02:03" or "2:03", rounded up to a second.
std::string duration(double seconds);

}  // namespace convoy
