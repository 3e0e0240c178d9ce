#include "engine/core/standard_input.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "convoy/error.h"

namespace convoy {

std::string read_standard_input(std::int64_t most) {
  constexpr std::size_t kPiece = 1 << 16;
  std::string text;
  for (;;) {
    const std::size_t filled = text.size();
    text.resize(filled + kPiece);
    const ssize_t got = ::read(STDIN_FILENO, text.data() + filled, kPiece);
    if (got < 0 && errno != EINTR) {
      throw Error(fmt::format("cannot read standard input: {}", std::generic_category().message(errno)));
    }
    text.resize(filled + static_cast<std::size_t>(got < 0 ? 0 : got));
    if (got == 0) return text;
    if (std::ssize(text) > most) {
      throw Error(fmt::format("cannot read standard input: it does not end within {} bytes", most));
    }
  }
}

}  // namespace convoy
