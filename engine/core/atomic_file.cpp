#include "engine/core/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

#include "convoy/error.h"
#include "engine/core/file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& file, std::string_view what, int code) {
  throw Error(
      fmt::format("cannot write {}: {}: {}", file.string(), what, std::generic_category().message(code)));
}

/// A new, empty file in `folder`. The destructor deletes it, unless it was renamed.
class TemporaryFile {
 public:
  TemporaryFile(const fs::path& folder, const fs::path& target) {
    static std::atomic<unsigned> serial = 0;
    int descriptor = -1;
    do {  // a killed process with the same id may have left a file of that name
      path_ = folder / fmt::format(".convoy-{}-{}.tmp", ::getpid(), serial++);
      descriptor = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (descriptor < 0 && errno == EEXIST);
    if (descriptor < 0) fail(target, fmt::format("no new file in {}", folder.string()), errno);
    ::close(descriptor);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  const fs::path& path() const { return path_; }

  void rename_to(const fs::path& target) {
    if (std::rename(path_.c_str(), target.c_str()) != 0) fail(target, "rename", errno);
    path_.clear();
  }

 private:
  fs::path path_;
};

/// Flushes a file or folder to the disk, so that its content survives a power cut.
void sync(const fs::path& path, int flags, const fs::path& target) {
  Descriptor file(::open(path.c_str(), flags | O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) fail(target, "open for fsync", errno);
  // Some file systems cannot sync a folder and answer EINVAL. Nothing more can be done on them.
  if (::fsync(file.get()) != 0 && !(errno == EINVAL && (flags & O_DIRECTORY) != 0))
    fail(target, "fsync", errno);
  if (file.close() != 0) fail(target, "close", errno);
}

void write_all(const Descriptor& file, std::string_view content, const fs::path& target) {
  while (!content.empty()) {
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(target, "write", errno);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// The path to replace. Symbolic links are followed, so that the link stays and its target is replaced.
fs::path resolve(const fs::path& file) {
  std::error_code failure;
  const fs::file_status status = fs::status(file, failure);
  if (status.type() == fs::file_type::not_found) return file;
  if (failure) fail(file, "look up", failure.value());
  if (status.type() == fs::file_type::directory)
    throw Error(fmt::format("cannot write {}: it is a folder", file.string()));
  if (status.type() != fs::file_type::regular) {  // a rename would replace /dev/null by a file
    throw Error(fmt::format("cannot write {}: it is not a regular file", file.string()));
  }
  const fs::path target = fs::canonical(file, failure);
  if (failure == std::errc::no_such_file_or_directory) return file;  // somebody has just removed it
  if (failure) fail(file, "look up", failure.value());
  return target;
}

}  // namespace

void write_atomically(const fs::path& file, const std::function<void(const fs::path& temporary)>& write) {
  const fs::path target = resolve(file);
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  TemporaryFile temporary(folder, file);
  write(temporary.path());
  sync(temporary.path(), 0, file);
  temporary.rename_to(target);
  sync(folder, O_DIRECTORY, file);
}

void make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0777) == 0) {
    sync(folder.has_parent_path() ? folder.parent_path() : fs::path("."), O_DIRECTORY, folder);
  } else if (errno != EEXIST) {
    fail(folder, "mkdir", errno);
  }
}

void write_atomically_in_parts(
    const fs::path& file,
    const std::function<void(const std::function<void(std::string_view)>& append)>& make) {
  write_atomically(file, [&](const fs::path& temporary) {
    Descriptor descriptor(::open(temporary.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
    if (descriptor.get() < 0) fail(file, "open", errno);
    make([&](std::string_view part) { write_all(descriptor, part, file); });
    if (descriptor.close() != 0) fail(file, "close", errno);
  });
}

void write_atomically(const fs::path& file, std::string_view content) {
  write_atomically_in_parts(file, [&](const auto& append) { append(content); });
}

}  // namespace convoy
