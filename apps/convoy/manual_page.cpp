#include "apps/convoy/manual_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/StringTools.hpp>
#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace convoy {
namespace {

/// What troff would print as another character: a hyphen, a quotation mark or an accent, none of which a
/// shell takes for what it was.
constexpr std::array<std::pair<char, std::string_view>, 6> kEscapes = {
    {{'\\', "\\e"}, {'-', "\\-"}, {'\'', "\\(aq"}, {'`', "\\(ga"}, {'^', "\\(ha"}, {'~', "\\(ti"}}};

/// Text that shows as it is.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const auto escape = std::ranges::find(kEscapes, c, &std::pair<char, std::string_view>::first);
    if (escape == kEscapes.end()) {
      result += c;
    } else {
      result += escape->second;
    }
  }
  return result;
}

/// A line of text, which may begin with what else would be a request.
std::string line_of(const std::string& text) {
  return (text.starts_with('.') ? "\\&" : "") + escaped(text) + "\n";
}

std::string bold(const std::string& text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + escaped(text) + "\\fR"; }

std::string bold_names(const std::vector<std::string>& names) {
  std::vector<std::string> parts;
  for (const std::string& name : names) parts.push_back(bold(name));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string argument_of(const FlagText& argument) {
  const std::string name =
      italic(argument.value.find("...") == std::string::npos ? argument.names.front() : argument.value);
  return argument.required ? name : "[" + name + "]";
}

std::string synopsis(const CommandText& command, const std::string& call) {
  std::string line = bold(call) + " [" + italic("OPTIONS") + "]";
  if (call == command.name) line += " " + italic("COMMAND");
  for (const FlagText& argument : command.positionals) line += " " + argument_of(argument);
  return line + "\n";
}

std::string entry(const FlagText& flag, bool positional) {
  std::string text = ".TP\n";
  text += positional ? argument_of(flag) : bold_names(flag.names);
  if (!positional && flag.takes_value) {
    const std::string value = italic(flag.value);
    text += flag.value_is_optional ? " [" + value + "]" : " " + value;
    if (flag.repeats && flag.value.find("...") == std::string::npos) text += " ...";
  }
  text += "\n" + line_of(flag.help);
  std::vector<std::string> notes;
  if (flag.required && !positional) notes.emplace_back("It is required.");
  if (!flag.fallback.empty()) notes.push_back("The default is " + bold(flag.fallback) + ".");
  if (!flag.needs.empty()) notes.push_back("It needs " + bold_names(flag.needs) + ".");
  if (!flag.excludes.empty()) notes.push_back("It excludes " + bold_names(flag.excludes) + ".");
  if (!notes.empty()) text += fmt::format(".br\n{}\n", fmt::join(notes, " "));
  return text;
}

std::string flags_by_group(const CommandText& command) {
  std::string text, group;
  for (const FlagText& flag : command.flags) {
    if (flag.group != group) {
      text += text.empty() ? ".SH OPTIONS\n" : fmt::format(".SS {}\n", escaped(flag.group));
      group = flag.group;
    }
    text += entry(flag, false);
  }
  return text;
}

/// The footer of a help text: "Examples:", indented lines, then the exit codes.
std::string footer_of(const CommandText& command) {
  std::string text;
  bool in_example = false;
  for (const std::string& line : CLI::detail::split(command.footer, '\n')) {
    const bool is_example = line.starts_with("  ");
    if (in_example && !is_example) text += ".EE\n";
    if (!in_example && is_example) text += ".EX\n";
    in_example = is_example;
    if (line == "Examples:") {
      text += ".SH EXAMPLES\n";
    } else if (line.starts_with("Exit codes: ")) {
      text += ".SH \"EXIT STATUS\"\n" + line_of(line.substr(std::string("Exit codes: ").size()));
    } else if (!line.empty()) {
      text += is_example ? line_of(line.substr(2)) : line_of(line);
    }
  }
  return text + (in_example ? ".EE\n" : "");
}

std::string list_of(const std::vector<CommandText>& commands) {
  std::string text = ".SH COMMANDS\n";
  for (std::size_t i = 1; i < commands.size(); ++i) {
    text += ".TP\n" + bold(commands[i].name) + "\n" + line_of(commands[i].help + ".") + ".br\nSee " +
            bold(page_name(commands, i)) + "(1).\n";
  }
  return text;
}

}  // namespace

std::string page_name(const std::vector<CommandText>& commands, std::size_t index) {
  return index == 0 ? commands[0].name : commands[0].name + "-" + commands[index].name;
}

std::string manual_page(const std::vector<CommandText>& commands, std::size_t index) {
  const CommandText& command = commands[index];
  const std::string name = page_name(commands, index), &program = commands[0].name;
  std::string help = command.help;
  if (help.ends_with('.')) help.pop_back();
  std::string title = name;
  std::ranges::transform(title, title.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  // No date: the same source makes the same page. Lines are flush left, as long words would leave holes.
  std::string text = fmt::format(".TH {} 1 \"\" \"Convoy {}\" \"User Commands\"\n.nh\n.ad l\n",
                                 escaped(title), CONVOY_VERSION);
  text += ".SH NAME\n" + escaped(name) + " \\- " + escaped(help) + "\n";
  text += ".SH SYNOPSIS\n" + synopsis(command, index == 0 ? program : program + " " + command.name);
  if (index == 0) text += list_of(commands);
  if (!command.positionals.empty()) {
    text += ".SH ARGUMENTS\n";
    for (const FlagText& argument : command.positionals) text += entry(argument, true);
  }
  text += flags_by_group(command) + footer_of(command);
  if (index > 0) text += ".SH \"SEE ALSO\"\n" + bold(program) + "(1)\n";
  return text;
}

}  // namespace convoy
