#include "engine/core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "convoy/error.h"

namespace convoy {
namespace {

[[noreturn]] void fail(const char* verb, const std::filesystem::path& path, const std::string& reason) {
  throw Error(fmt::format("cannot {} {}: {}", verb, path.string(), reason));
}

std::string reason_of(int code) { return std::generic_category().message(code); }

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

[[noreturn]] void fail_as(mode_t mode, const char* verb, const std::filesystem::path& path) {
  fail(verb, path, fmt::format("it is {}, not a regular file", kind_of(mode)));
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : value_(other.release()) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(value_, other.value_);
  return *this;
}

Descriptor::~Descriptor() {
  if (value_ >= 0) static_cast<void>(close());  // data that must be durable was synced before
}

int Descriptor::release() noexcept { return std::exchange(value_, -1); }

int Descriptor::close() noexcept { return ::close(release()); }

Descriptor open_regular(const std::filesystem::path& path, int flags, const char* verb) {
  // Without O_NONBLOCK, opening a FIFO would wait for its other end.
  Descriptor descriptor(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666));
  const int code = errno;
  struct stat status {};
  if (descriptor.get() < 0) {
    // A socket, and a FIFO that nobody reads, cannot be opened, and the system's word for that says nothing.
    if (code == ENXIO && stat(path.c_str(), &status) == 0) fail_as(status.st_mode, verb, path);
    fail(verb, path, reason_of(code));
  }
  if (fstat(descriptor.get(), &status) != 0) fail(verb, path, reason_of(errno));
  if (!S_ISREG(status.st_mode)) fail_as(status.st_mode, verb, path);
  return descriptor;
}

InputFile::InputFile(std::filesystem::path path)
    : path_(std::move(path)), descriptor_(open_regular(path_, O_RDONLY, "read")) {
  bytes_ = lseek(descriptor_.get(), 0, SEEK_END);
  rewind();
}

std::size_t InputFile::read(std::span<std::uint8_t> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t got = ::read(descriptor_.get(), out.data() + filled, out.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", path_, reason_of(errno));
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return filled;
}

void InputFile::seek(std::int64_t byte) {
  if (lseek(descriptor_.get(), byte, SEEK_SET) != byte) fail("read", path_, reason_of(errno));
}

std::string InputFile::read_text(std::int64_t most) {
  std::string text(static_cast<std::size_t>(std::min(most, bytes_)), '\0');
  text.resize(read({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}));
  return text;
}

}  // namespace convoy
