#include "apps/convoy/terminal_size.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace convoy {

std::size_t terminal_columns() {
  struct winsize size = {};
  constexpr std::size_t kUnknown = 80;
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUnknown;
}

}  // namespace convoy
