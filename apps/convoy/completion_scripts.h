// Scripts by which shells complete the program's command line.
#pragma once

#include <string>
#include <vector>

#include "apps/convoy/command_text.h"

namespace convoy {

/// For bash 4.4 and newer. It needs nothing of the package bash-completion, which finds it by its name.
std::string bash_completion(const std::vector<CommandText>& commands);

/// For zsh's compsys, as the file _convoy of its fpath, or sourced behind compinit.
std::string zsh_completion(const std::vector<CommandText>& commands);

/// For fish 3.
std::string fish_completion(const std::vector<CommandText>& commands);

}  // namespace convoy
