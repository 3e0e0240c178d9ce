#include "apps/convoy/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "apps/convoy/terminal.h"
#include "convoy/error.h"

namespace convoy {
namespace {

std::string host() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

/// Whether the file that is locked is still the one of that name: who held it before may have removed it.
bool is_still(const std::filesystem::path& file, int descriptor) {
  struct stat named = {}, held = {};
  return stat(file.c_str(), &named) == 0 && fstat(descriptor, &held) == 0 && named.st_ino == held.st_ino &&
         named.st_dev == held.st_dev;
}

std::string content_of(int descriptor) {
  std::array<char, 128> text{};
  const ssize_t got = pread(descriptor, text.data(), text.size() - 1, 0);
  const std::string line(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  return line.substr(0, line.find('\n'));
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder) : file_(folder / kLockFile) {
  const auto fail = [&](const std::string& why) {
    if (descriptor_ >= 0) close(descriptor_);
    throw Error(fmt::format("{}: {}", folder.string(), why));
  };
  for (;;) {
    descriptor_ = open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor_ < 0)
      fail("the output folder cannot be written: " + std::generic_category().message(errno));
    if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) {
      if (is_still(file_, descriptor_)) break;
      close(descriptor_);
      continue;
    }
    if (errno == EINTR) {
      close(descriptor_);
      continue;
    }
    if (errno != EWOULDBLOCK) {
      say_note(
          fmt::format("{}: its file system has no locks ({}); see to it that no other training writes there",
                      folder.string(), std::generic_category().message(errno)));
      return;
    }
    const std::string holder = content_of(descriptor_);
    fail(fmt::format("another training writes to this folder{}; wait until it ends",
                     holder.empty() ? "" : ": " + holder));
  }
  const std::string line = fmt::format("process {} on {}\n", getpid(), host());
  if (ftruncate(descriptor_, 0) != 0 || pwrite(descriptor_, line.data(), line.size(), 0) < 0) {
    // Its number is a courtesy; what is locked is locked.
  }
}

FolderLock::~FolderLock() {
  unlink(file_.c_str());  // while it is held: who opened it before will look again
  close(descriptor_);
}

}  // namespace convoy
