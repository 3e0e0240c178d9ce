// Foreign text in an error message: what a file holds must not break the one line that reports it.
#pragma once

#include <string>
#include <string_view>

namespace convoy {

/// `text` in double quotes, with everything but printable ASCII escaped as \xNN and cut after 80 bytes.
std::string quote(std::string_view text);

/// Whether `text` can be a tensor's name: UTF-8 without control characters, at most 64 KiB.
bool is_tensor_name(std::string_view text);

}  // namespace convoy
