#include "apps/convoy/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "apps/convoy/printable.h"
#include "apps/convoy/styled_text.h"
#include "apps/convoy/terminal_size.h"

namespace convoy {
namespace {

constexpr std::size_t kWidestBar = 28, kNarrowestBar = 6;
constexpr std::size_t kPercent = 5;  // " 42 %"

std::string speaker;  // "rank 1: " of a process that is one of several
bool muted = false;   // but for errors

std::string coloured(const char* code, const std::string& text) {
  return fancy_output() ? style(code) + text + style("0") : text;
}

/// `cell` filled up with spaces in front or behind.
std::string aligned(const std::string& cell, std::size_t columns, bool flush_left) {
  const std::string spaces(columns - std::min(columns, columns_of(cell)), ' ');
  return flush_left ? cell + spaces : spaces + cell;
}

}  // namespace

bool fancy_output() {
  // NO_COLOR counts if it is set and not empty (https://no-color.org).
  static const bool fancy = [] {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    const bool refused =
        (no_color != nullptr && *no_color != '\0') || (term != nullptr && std::string(term) == "dumb");
    return isatty(STDOUT_FILENO) == 1 && !refused;
  }();
  return fancy;
}

std::string bold(const std::string& text) { return coloured("1", text); }
std::string green(const std::string& text) { return coloured("32", text); }
std::string red(const std::string& text) { return coloured("31", text); }

void put(const std::string& text) { put_data(for_terminal(text)); }

void put_for_programs(const std::string& text) { isatty(STDOUT_FILENO) == 1 ? put(text) : put_data(text); }

void emit(const Json& object) {
  // A path need not be UTF-8, but JSON must be.
  const std::string json = object.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string line;
  for (std::size_t i = 0; i < json.size(); ++i) {
    // JSON has escapes for those below a space alone, but 0x7f to 0x9f act on a terminal, too.
    const bool is_high_control = json[i] == '\xc2' && json[i + 1] < '\xa0';
    if (json[i] == '\x7f' || is_high_control) {
      line += fmt::format("\\u{:04x}", static_cast<unsigned char>(json[is_high_control ? ++i : i]));
    } else {
      line += json[i];
    }
  }
  put_data(line + "\n");
  std::fflush(stdout);
}

void say(const std::string& message) {
  const std::string line = "convoy: " + printable(message) + "\n";
  std::fputs(line.c_str(), stderr);  // does not throw: a message that cannot be written is no failure
}

void speak_as_rank(int rank) {
  speaker = fmt::format("rank {}: ", rank);
  if (rank == 0) return;
  muted = true;
  if (std::freopen("/dev/null", "w", stdout) == nullptr) say_error("/dev/null cannot be opened");
}

void say_note(const std::string& message) {
  if (!muted) say("note: " + message);
}

void say_error(std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  say("error: " + speaker + message);
}

std::string Table::str() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string text;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < rows_[r].size(); ++i) {
      const bool flush_left = std::find(left_.begin(), left_.end(), i) != left_.end();
      if (i > 0) line += "  ";
      line += aligned(rows_[r][i], widths[i], flush_left);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += (r == 0 ? bold(line) : line) + "\n";
  }
  return text;
}

std::string progress_line(double fraction, const std::string& note, std::size_t columns) {
  const double part = std::clamp(fraction, 0.0, 1.0);
  const std::string text = fmt::format("{:3.0f} %  {}", 100.0 * part, note);
  const std::size_t room = std::max(columns, kPercent + 1) - 1;  // a full line would wrap in some terminals
  const std::size_t around = std::string("[] ").size() + text.size();
  if (room < around + kNarrowestBar) return text.substr(0, room);
  const std::size_t width = std::min(room - around, kWidestBar);
  const auto filled = static_cast<std::size_t>(part * static_cast<double>(width));
  return fmt::format("[{}{}] {}", std::string(filled, '#'), std::string(width - filled, '.'), text);
}

std::string fitting_notes(const std::vector<std::string>& notes, const std::vector<std::size_t>& importance,
                          std::size_t columns) {
  const std::string between = ", ";
  std::vector<bool> shown(notes.size(), false);
  std::size_t used = 0;
  for (const std::size_t i : importance) {
    const std::size_t more = (used > 0 ? between.size() : 0) + notes[i].size();
    if (notes[i].empty() || used + more > columns) continue;
    shown[i] = true;
    used += more;
  }
  std::string text;
  for (std::size_t i = 0; i < notes.size(); ++i) {
    if (shown[i]) text += (text.empty() ? "" : between) + notes[i];
  }
  return text;
}

void ProgressBar::draw(double fraction, const std::vector<std::string>& notes,
                       const std::vector<std::size_t>& importance) {
  if (!fancy_output()) return;
  const std::size_t columns = terminal_columns(), around = kPercent + 3;  // "100 %  ", and a column is free
  draw(fraction, fitting_notes(notes, importance, columns > around ? columns - around : 0));
}

void ProgressBar::draw(double fraction, const std::string& note) {
  if (!fancy_output()) return;
  put_data("\r\x1b[K" + printable(progress_line(fraction, note, terminal_columns())));
  std::fflush(stdout);
  drawn_ = true;
}

void ProgressBar::clear() {
  if (!drawn_) return;
  put_data("\r\x1b[K");
  std::fflush(stdout);
  drawn_ = false;
}

void DownloadReport::say(const std::string& message) {
  bar_.clear();
  convoy::say(message);
}

void DownloadReport::progress(const std::string& file, std::int64_t done, std::int64_t total) {
  if (!with_bar_ || total <= 0) return;
  bar_.draw(static_cast<double>(done) / static_cast<double>(total),
            fmt::format("{}, {:.1f} of {:.1f} MB", file, static_cast<double>(done) / 1e6,
                        static_cast<double>(total) / 1e6));
}

void DownloadReport::decoding(std::int64_t done, std::int64_t total) {
  if (!with_bar_ || total <= 0) return;
  bar_.draw(static_cast<double>(done) / static_cast<double>(total),
            fmt::format("{} of {} pictures decoded", done, total));
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  const auto total = static_cast<std::int64_t>(std::ceil(std::clamp(seconds, 0.0, 1e9)));
  const std::int64_t hours = total / 3600, minutes = total / 60 % 60, rest = total % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, rest)
                   : fmt::format("{}:{:02}", minutes, rest);
}

}  // namespace convoy
