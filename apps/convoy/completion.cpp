// convoy completion: prints a shell's script to complete the command line.
#include <CLI/CLI.hpp>
#include <memory>

#include "apps/convoy/commands.h"
#include "apps/convoy/completion_scripts.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/terminal.h"

namespace convoy {

Command add_completion(CLI::App& program) {
  const auto shell = std::make_shared<std::string>();
  CLI::App& command =
      *program.add_subcommand("completion", "Print the script by which a shell completes convoy");
  command.add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  set_footer(command,
             "  convoy completion bash > ~/.local/share/bash-completion/completions/convoy\n"
             "  convoy completion zsh > ~/.zfunc/_convoy        # a folder of fpath, before compinit\n"
             "  convoy completion fish > ~/.config/fish/completions/convoy.fish\n");
  return {&command, [shell, &program] {
            const auto commands = describe_commands(program);
            put(*shell == "bash"  ? bash_completion(commands)
                : *shell == "zsh" ? zsh_completion(commands)
                                  : fish_completion(commands));
            return 0;
          }};
}

}  // namespace convoy
