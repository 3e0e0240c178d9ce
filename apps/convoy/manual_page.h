// The manual as man pages.
#pragma once

#include <string>
#include <vector>

#include "apps/convoy/command_text.h"

namespace convoy {

/// The name of a command's page: "convoy", "convoy-train".
std::string page_name(const std::vector<CommandText>& commands, std::size_t index);

/// The page of one of `commands`, of which the first is the program, in man(7)'s macros.
std::string manual_page(const std::vector<CommandText>& commands, std::size_t index);

}  // namespace convoy
