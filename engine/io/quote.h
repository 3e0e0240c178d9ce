// Text from files in error messages: it must not break the line that the message is.
#pragma once

#include <string>
#include <string_view>

namespace convoy {

/// `text` in double quotes, cut after 80 bytes. Quotes, backslashes and all but printable ASCII become \xNN.
std::string quote(std::string_view text);

/// Whether `text` can name a tensor: UTF-8 without control characters, at most 64 KiB.
bool is_tensor_name(std::string_view text);

}  // namespace convoy
