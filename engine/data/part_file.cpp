#include "engine/data/part_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "convoy/error.h"

namespace convoy {
namespace {

[[noreturn]] void fail(const char* what, const std::filesystem::path& path, int code) {
  throw Error(fmt::format("cannot {} {}: {}", what, path.string(), std::generic_category().message(code)));
}

struct stat status_of(const Descriptor& descriptor, const std::filesystem::path& path) {
  struct stat status {};
  if (fstat(descriptor.get(), &status) != 0) fail("inspect", path, errno);
  return status;
}

}  // namespace

PartFile::PartFile(std::filesystem::path target) : target_(std::move(target)), path_(target_) {
  path_ += ".part";
  open();
  const off_t end = lseek(descriptor_.get(), 0, SEEK_END);
  if (end < 0) fail("write", path_, errno);
  bytes_ = end;
}

void PartFile::open() {
  for (;;) {
    descriptor_ = open_regular(path_, O_WRONLY | O_CREAT | O_NOFOLLOW, "write");
    // On a file system without locks this protection is missing. The checksum still finds wrong content.
    if (flock(descriptor_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      throw Error(
          fmt::format("{} is being written by another process; wait for it to finish", path_.string()));
    }
    // Another process may have renamed the file between our open() and flock(). Then this descriptor refers
    // to the finished target, which must not be changed, so the part is opened anew.
    const struct stat mine = status_of(descriptor_, path_);
    struct stat named {};
    if (stat(path_.c_str(), &named) == 0 && mine.st_ino == named.st_ino && mine.st_dev == named.st_dev)
      return;
  }
}

PartFile::~PartFile() {
  if (!published_ && bytes_ == 0) static_cast<void>(unlink(path_.c_str()));
}

void PartFile::append(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(descriptor_.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      const int code = errno;
      throw Error(fmt::format("cannot write {}: {}; make room and run again, it will be resumed",
                              path_.string(), std::generic_category().message(code)));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    bytes_ += put;
  }
}

void PartFile::clear() {
  if (ftruncate(descriptor_.get(), 0) != 0 || lseek(descriptor_.get(), 0, SEEK_SET) != 0) {
    fail("write", path_, errno);
  }
  bytes_ = 0;
}

void PartFile::publish() {
  if (fsync(descriptor_.get()) != 0) fail("write", path_, errno);
  if (rename(path_.c_str(), target_.c_str()) != 0) fail("write", target_, errno);
  published_ = true;
  const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || fsync(directory.get()) != 0) fail("write", folder, errno);
}

void create_folder(const std::filesystem::path& folder) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) throw Error(fmt::format("cannot create the folder {}: {}", folder.string(), code.message()));
}

}  // namespace convoy
