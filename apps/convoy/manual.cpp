// convoy manual: the man pages, made of what the parser knows of the flags.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "apps/convoy/commands.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/manual_page.h"
#include "apps/convoy/terminal.h"
#include "convoy/error.h"
#include "engine/core/atomic_file.h"

namespace convoy {
namespace {

struct ManualFlags {
  std::string command;
  std::filesystem::path out;
};

void write_all(const std::vector<CommandText>& commands, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(fmt::format("cannot make {}: {}", folder.string(), error.message()));
  for (std::size_t i = 0; i < commands.size(); ++i) {
    write_atomically(folder / (page_name(commands, i) + ".1"), manual_page(commands, i));
  }
}

int run_manual(const ManualFlags& flags, const CLI::App& program) {
  const auto commands = describe_commands(program);
  if (!flags.out.empty()) {
    if (!flags.command.empty()) throw UsageError("--out writes the pages of all commands: name none");
    write_all(commands, flags.out);
    return 0;
  }
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const bool asked = flags.command.empty() ? i == 0 : i > 0 && commands[i].name == flags.command;
    if (!asked) continue;
    put(manual_page(commands, i));
    return 0;
  }
  throw UsageError(fmt::format("'{}' is not a subcommand (see convoy --help)", flags.command));
}

}  // namespace

Command add_manual(CLI::App& program) {
  const auto flags = std::make_shared<ManualFlags>();
  CLI::App& command = *program.add_subcommand("manual", "Print the man page of convoy or of a subcommand");
  command.add_option("command", flags->command, "The subcommand; without it convoy itself");
  command.add_option("--out", flags->out, "Write all pages to this folder instead")->check(not_empty());
  set_footer(command,
             "  convoy manual | man -l -\n"
             "  convoy manual train | man -l -\n"
             "  convoy manual --out ~/.local/share/man/man1\n");
  return {&command, [flags, &program] { return run_manual(*flags, program); }};
}

}  // namespace convoy
