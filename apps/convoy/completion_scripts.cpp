#include "apps/convoy/completion_scripts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace convoy {
namespace {

/// What a list of choices has room for: the beginning of the help.
std::string short_help(const FlagText& flag) {
  constexpr std::size_t kMost = 72;
  std::string text = flag.help.substr(0, std::min(flag.help.find(". "), flag.help.find("; ")));
  if (text.size() > kMost) text = text.substr(0, text.rfind(' ', kMost)) + " ...";
  return text;
}

std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
  std::string result;
  std::size_t begin = 0;
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, begin)) {
    result += text.substr(begin, at - begin) + to;
    begin = at + from.size();
  }
  return result + text.substr(begin);
}

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

std::string names_of_all(const std::vector<FlagText>& flags) {
  std::vector<std::string> names;
  for (const FlagText& flag : flags) names.insert(names.end(), flag.names.begin(), flag.names.end());
  return joined(names);
}

// bash

/// Sets what may come: words, or names of files or folders.
std::string bash_choices(const ValueChoices& choices) {
  std::string text;
  if (!choices.words.empty()) text += fmt::format(" words='{}'", joined(choices.words));
  if (choices.files) text += " names=files";
  if (choices.folders) text += " names=folders";
  return text.empty() ? " words=''" : text;
}

std::string bash_case(const CommandText& command) {
  std::string text = fmt::format("    {})\n      flags='{}'\n", command.name, names_of_all(command.flags));
  text += "      case $previous in\n";
  for (const FlagText& flag : command.flags) {
    if (!flag.takes_value || flag.value_is_optional) continue;
    text +=
        fmt::format("        {}) value=1{} ;;\n", fmt::join(flag.names, " | "), bash_choices(flag.choices));
  }
  if (!command.positionals.empty()) {  // no command has others of another kind
    text += fmt::format("        *){} ;;\n", bash_choices(command.positionals.front().choices));
  }
  return text + "      esac ;;\n";
}

constexpr const char* kBashBegin = R"(# Completion of convoy for bash, written by `convoy completion bash`.
_convoy() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local command='' flags='' words='' names='' value='' i
  # bash makes three words of --flag=value.
  if [[ $current == '=' ]]; then
    current=''
  elif [[ $previous == '=' ]]; then
    previous=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    if [[ ${COMP_WORDS[i]} != -* ]]; then
      command=${COMP_WORDS[i]}
      break
    fi
  done
  case $command in
)";

constexpr const char* kBashEnd = R"(  esac
  if [[ -z $value && $current == -* ]]; then
    words=$flags names=''
  fi
  mapfile -t COMPREPLY < <(
    [[ -z $words ]] || compgen -W "$words" -- "$current"
    case $names in
      files) compgen -f -- "$current" ;;
      folders) compgen -d -- "$current" ;;
    esac
  )
  [[ -z $names ]] || compopt -o filenames 2>/dev/null
  return 0
}
complete -F _convoy convoy
)";

// zsh

/// Text within single quotes.
std::string single_quoted(const std::string& text) { return "'" + replaced(text, "'", R"('\'')") + "'"; }

/// An explanation within brackets.
std::string zsh_explained(const std::string& text) {
  return replaced(replaced(text, "[", R"(\[)"), "]", R"(\])");
}

/// How _arguments completes a value.
std::string zsh_action(const ValueChoices& choices) {
  const std::string words = choices.words.empty() ? "" : fmt::format("({})", joined(choices.words));
  if (choices.files)
    return words.empty() ? "_files" : fmt::format("{{_convoy_words_or_files {}}}", joined(choices.words));
  return choices.folders ? "_files -/" : words;
}

std::string zsh_spec(const FlagText& flag, const std::string& name) {
  std::string spec = fmt::format("{}{}[{}]", flag.repeats ? "*" : "", name, zsh_explained(short_help(flag)));
  if (flag.takes_value) {
    spec += fmt::format("{}value:{}", flag.value_is_optional ? "::" : ":", zsh_action(flag.choices));
  }
  return single_quoted(spec);
}

std::string zsh_case(const CommandText& command) {
  std::string text = fmt::format("        {})\n          _arguments", command.name);
  for (const FlagText& flag : command.flags) {
    for (const std::string& name : flag.names) text += " \\\n            " + zsh_spec(flag, name);
  }
  for (const FlagText& argument : command.positionals) {
    const std::string spec = fmt::format("{}:{}:{}", argument.repeats ? "*" : "", argument.names.front(),
                                         zsh_action(argument.choices));
    text += " \\\n            " + single_quoted(spec);
  }
  return text + " ;;\n";
}

constexpr const char* kZshBegin = R"(#compdef convoy
# Completion of convoy for zsh, written by `convoy completion zsh`.
_convoy_words_or_files() {
  compadd -- "$@"
  _files
}
_convoy() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  local -a commands=(
)";

constexpr const char* kZshMiddle = R"(  )
  _arguments -C '(- *)'{-h,--help}'[Print the help]' '(- *)--version[Print the version]' \
    '1:command:->command' '*::argument:->arguments'
  case $state in
    command) _describe -t commands 'convoy command' commands ;;
    arguments)
      case $line[1] in
)";

constexpr const char* kZshEnd = R"(      esac ;;
  esac
}
if [[ $funcstack[1] == _convoy ]]; then
  _convoy "$@"
else
  compdef _convoy convoy
fi
)";

// fish

std::string fish_quoted(const std::string& text) {
  return "'" + replaced(replaced(text, "\\", "\\\\"), "'", "\\'") + "'";
}

std::string fish_action(const ValueChoices& choices) {
  std::string text = choices.files ? " -F" : "";
  const std::string folders = choices.folders ? "(__fish_complete_directories)" : "";
  const std::string words = joined(choices.words);
  if (!words.empty() || !folders.empty()) text += " -a " + fish_quoted(words + folders);
  return text;
}

std::string fish_flag(const FlagText& flag, const std::string& name, const std::string& condition) {
  const bool is_long = name.starts_with("--");
  std::string line = fmt::format("complete -c convoy -n {} {} {}", condition, is_long ? "-l" : "-s",
                                 name.substr(is_long ? 2 : 1));
  if (flag.takes_value) {
    const char* requires_one = flag.choices.files ? " -r" : " -x";  // x: and offers no files
    line += (flag.value_is_optional ? "" : requires_one) + fish_action(flag.choices);
  }
  return line + " -d " + fish_quoted(short_help(flag)) + "\n";
}

std::string fish_lines(const CommandText& command, const std::string& condition) {
  std::string text;
  for (const FlagText& flag : command.flags) {
    for (const std::string& name : flag.names) text += fish_flag(flag, name, condition);
  }
  for (const FlagText& argument : command.positionals) {
    const std::string action = fish_action(argument.choices);
    if (!action.empty()) text += fmt::format("complete -c convoy -n {}{}\n", condition, action);
  }
  return text;
}

}  // namespace

std::string bash_completion(const std::vector<CommandText>& commands) {
  std::vector<std::string> names;
  for (std::size_t i = 1; i < commands.size(); ++i) names.push_back(commands[i].name);
  std::string text = kBashBegin;
  text += fmt::format("    '') flags='{}' words='{}' ;;\n", names_of_all(commands[0].flags), joined(names));
  for (std::size_t i = 1; i < commands.size(); ++i) text += bash_case(commands[i]);
  return text + kBashEnd;
}

std::string zsh_completion(const std::vector<CommandText>& commands) {
  std::string text = kZshBegin;
  for (std::size_t i = 1; i < commands.size(); ++i) {
    const std::string help = replaced(commands[i].help, ":", "\\:");
    text += fmt::format("    {}\n", single_quoted(commands[i].name + ":" + help));
  }
  text += kZshMiddle;
  for (std::size_t i = 1; i < commands.size(); ++i) text += zsh_case(commands[i]);
  return text + kZshEnd;
}

std::string fish_completion(const std::vector<CommandText>& commands) {
  std::string text =
      "# Completion of convoy for fish, written by `convoy completion fish`.\ncomplete -c convoy -f\n";
  const std::string first = "__fish_use_subcommand";
  text += fish_lines(commands[0], first);
  for (std::size_t i = 1; i < commands.size(); ++i) {
    const std::string& name = commands[i].name;
    text += fmt::format("complete -c convoy -n {} -a {} -d {}\n", first, name, fish_quoted(commands[i].help));
    text += fish_lines(commands[i], fish_quoted("__fish_seen_subcommand_from " + name));
  }
  return text;
}

}  // namespace convoy
