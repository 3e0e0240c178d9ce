#include "apps/convoy/config_text.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <set>
#include <sstream>
#include <string_view>

#include "convoy/error.h"
#include "engine/core/file.h"

namespace convoy {
namespace {

constexpr std::int64_t kMostBytes = 1 << 20;  // a written one has some kilobytes

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string trimmed(const std::string& text) {
  const auto begin = std::find_if_not(text.begin(), text.end(), is_blank);
  const auto end = std::find_if_not(text.rbegin(), std::make_reverse_iterator(begin), is_blank).base();
  return {begin, end};
}

bool all_of(const std::string& text, std::string_view marks) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || marks.find(c) != std::string_view::npos;
  });
}

/// TOML's decimal numbers: 5, -0.5, 1e-3; not 007, .5 or 5.
bool is_number(std::string_view text) {
  const auto digits = [&] {
    std::size_t count = 0;
    while (count < text.size() && std::isdigit(static_cast<unsigned char>(text[count])) != 0) ++count;
    text.remove_prefix(count);
    return count;
  };
  const auto skip = [&](std::string_view marks) {
    const bool there = !text.empty() && marks.find(text.front()) != std::string_view::npos;
    if (there) text.remove_prefix(1);
    return there;
  };
  skip("+-");
  const bool zero = !text.empty() && text.front() == '0';
  if (const std::size_t whole = digits(); whole == 0 || (zero && whole > 1)) return false;
  if (skip(".") && digits() == 0) return false;
  if (skip("eE")) {
    skip("+-");
    if (digits() == 0) return false;
  }
  return text.empty();
}

bool is_bare(const std::string& text) { return text == "true" || text == "false" || is_number(text); }

/// Puts lines together as CLI11's reader takes them: without comments, and each list on one line without
/// blanks. Refuses what it would read in another way than TOML.
class ConfigReader {
 public:
  ConfigReader(const std::filesystem::path& file, const std::string& text)
      : file_(file.string()), input_(text) {}

  std::vector<ConfigEntry> read() {
    for (std::string line; std::getline(input_, line);) {
      begin_ = ++line_;
      text_.clear();
      depth_ = 0;
      strip(line);
      while (depth_ > 0 && !is_table() && std::getline(input_, line)) {
        ++line_;
        strip(line);
      }
      take(trimmed(text_));
    }
    return std::move(entries_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw UsageError(fmt::format("{}:{}: {}", file_, begin_, what));
  }

  // "[recipe]", where a bracket opens no list.
  bool is_table() const { return !text_.empty() && text_.front() == '['; }

  void strip(const std::string& line) {
    char quote = '\0';
    for (std::size_t i = 0; i < line.size(); ++i) {
      const char c = line[i];
      if (quote != '\0') {
        if (c == '\\') refuse("a backslash is not read here");
        if (c == quote) {
          quote = '\0';
          const char next = i + 1 < line.size() ? line[i + 1] : ' ';
          if (!is_blank(next) && next != ',' && next != ']' && next != '#') {
            refuse(fmt::format("'{}' follows a closing quote", next));
          }
        }
      } else if (c == '#') {
        break;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else {
        depth_ += c == '[' ? 1 : c == ']' ? -1 : 0;
      }
      text_ += c;
    }
    if (quote != '\0') refuse(fmt::format("a quote is not closed: {}", quote));
    text_ = trimmed(text_) + (depth_ > 0 ? " " : "");
  }

  void take(const std::string& text) {
    if (text.empty()) return;
    if (is_table()) return take_table(text);
    const std::size_t equals = text.find('=');
    const std::string key = trimmed(text.substr(0, equals));
    if (equals == std::string::npos || !all_of(key, "-_")) {
      refuse(fmt::format("'{}' is not of the form key = value", text));
    }
    const std::string value = checked(key, trimmed(text.substr(equals + 1)));
    if (!known_.insert({table_, key}).second) refuse(fmt::format("{} is there twice", key));
    std::istringstream line(key + " = " + value + "\n");
    CLI::ConfigTOML reader;
    reader.comment('\x01');  // a # is within quotes, of which older readers take no notice
    std::vector<CLI::ConfigItem> items;
    try {
      items = reader.from_config(line);
    } catch (const CLI::Error& error) {
      refuse(fmt::format("{}: {}", key, error.what()));
    }
    if (items.size() != 1 || items.front().inputs.empty()) refuse(fmt::format("{} has no value", key));
    entries_.push_back(
        {table_, key, std::move(items.front().inputs), fmt::format("{}:{}: {}", file_, begin_, key)});
  }

  void take_table(const std::string& text) {
    const std::string name = trimmed(text.substr(1, text.size() - 2));
    if (text.back() != ']' || !all_of(name, "-_.")) {
      refuse(fmt::format("'{}' is not of the form [table]", text));
    }
    if (!known_.insert({name, ""}).second) refuse(fmt::format("[{}] is there twice", name));
    table_ = name;
  }

  // A value of which nothing but text in quotes, numbers and truth values are left, and what makes a list of
  // them.
  std::string checked(const std::string& key, const std::string& value) const {
    if (value.empty() || value.front() != '[') return checked_item(key, value);
    if (depth_ != 0 || value.back() != ']') refuse(fmt::format("the list of {} is not closed", key));
    std::string items, item;
    char quote = '\0';
    for (const char c : value.substr(1, value.size() - 2)) {
      if (quote == '\0' && (c == '"' || c == '\'')) {
        quote = c;
      } else if (c == quote) {
        quote = '\0';
      }
      if (c == ',' && quote == '\0') {
        items += checked_item(key, item) + ",";
        item.clear();
      } else {
        item += c;
      }
    }
    // A comma may follow the last one.
    if (items.empty() || !trimmed(item).empty()) items += checked_item(key, item);
    return '[' + items + ']';
  }

  std::string checked_item(const std::string& key, const std::string& text) const {
    const std::string item = trimmed(text);
    if (item.empty()) refuse(fmt::format("{} has no value", key));
    const bool quoted = item.front() == '"' || item.front() == '\'';
    // What follows a closing quote was looked at.
    if (quoted && item.find(item.front(), 1) == item.size() - 1) return item;
    if (is_bare(item)) return item;
    refuse(fmt::format("{}: {} is no number and no truth value; text stands in quotes", key, item));
  }

  std::string file_;
  std::istringstream input_;
  std::int64_t line_ = 0, begin_ = 0;  // the last line that was read, and where what is read now began
  std::string text_;                   // of that
  int depth_ = 0;                      // lists that are open
  std::string table_;
  std::set<std::pair<std::string, std::string>> known_;  // tables and their keys
  std::vector<ConfigEntry> entries_;
};

}  // namespace

std::vector<ConfigEntry> read_config(const std::filesystem::path& file) {
  InputFile input(file);
  if (input.bytes() > kMostBytes) {
    throw Error(
        fmt::format("{}: is larger than {} bytes, so it is no configuration", file.string(), kMostBytes));
  }
  return ConfigReader(file, input.read_text(kMostBytes)).read();
}

std::string config_value(const std::string& text) {
  if (is_bare(text)) return text;
  const bool printable =
      std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (!printable || text.find('\\') != std::string::npos) return {};
  if (text.find('"') == std::string::npos) return '"' + text + '"';
  return text.find('\'') == std::string::npos ? '\'' + text + '\'' : "";
}

}  // namespace convoy
