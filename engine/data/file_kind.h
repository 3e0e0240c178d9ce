// Names files of other kinds than were expected, for messages.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace convoy {

/// What a file is that begins with these bytes, and what to do with it: "it is a web page; download the file
/// itself". Empty if that is not known. 16 bytes are enough.
std::string kind_of_file(std::span<const std::uint8_t> start);

}  // namespace convoy
