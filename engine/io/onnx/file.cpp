#include "engine/io/onnx/file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "convoy/error.h"
#include "engine/io/quote.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using ::onnx::ModelProto;
using ::onnx::TensorProto;

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw Error(fmt::format("{} is not a place in a file", quote(text)));
  }
  return value;
}

/// Where a tensor's elements are.
struct Place {
  std::string location;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

Place place_of(const TensorProto& tensor, std::size_t bytes) {
  Place place{.location = {}, .offset = 0, .length = bytes};
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") place.location = entry.value();
    if (entry.key() == "offset") place.offset = number(entry.value());
    if (entry.key() == "length") place.length = number(entry.value());
  }
  const std::string& location = place.location;
  const bool beside = !location.empty() && location.find('/') == std::string::npos && location != "." &&
                      location != ".." && location.find('\0') == std::string::npos;
  if (!beside) {
    throw Error(fmt::format("its elements are in {}; only a file in the folder of the ONNX file is read",
                            quote(location)));
  }
  if (place.length != bytes) {
    throw Error(fmt::format("its elements take {} bytes, but {} are named", bytes, place.length));
  }
  return place;
}

/// `count` bytes of the file, from `offset` on. Nothing if it has not that many.
std::optional<std::string> bytes_at(const InputFile& file, std::uint64_t offset, std::size_t count) {
  const auto size = static_cast<std::uint64_t>(file.bytes());
  if (offset > size || count > size - offset) return std::nullopt;
  std::string bytes(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got = ::pread(file.descriptor().get(), bytes.data() + done, count - done,
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

/// A file that the ONNX file names. What is thrown has the name in quotes, because it may be anything.
InputFile opened(const fs::path& folder, const std::string& location) {
  try {
    return InputFile(folder / location);
  } catch (const Error&) {
    throw Error(fmt::format("its elements are in {}, which cannot be opened in the folder of the ONNX file",
                            quote(location)));
  }
}

class FilesBeside {
 public:
  explicit FilesBeside(fs::path folder) : folder_(std::move(folder)) {}

  std::string operator()(const TensorProto& tensor, std::size_t bytes) {
    constexpr std::uint64_t kMostAgain = std::uint64_t{64} << 20;  // for weights that layers share
    const Place place = place_of(tensor, bytes);
    const InputFile file = opened(folder_, place.location);
    auto elements = bytes_at(file, place.offset, bytes);
    if (!elements) {
      throw Error(
          fmt::format("{} has not {} bytes from byte {} on", quote(place.location), bytes, place.offset));
    }
    std::uint64_t& taken = taken_[place.location];
    taken += bytes;
    if (taken > static_cast<std::uint64_t>(file.bytes()) + kMostAgain) {
      throw Error(
          fmt::format("tensors have {} bytes of {}, far more than it has", taken, quote(place.location)));
    }
    return std::move(*elements);
  }

 private:
  fs::path folder_;
  std::map<std::string, std::uint64_t> taken_;  // bytes, by file
};

}  // namespace

ModelProto read_message(InputFile& file) {
  if (file.bytes() > std::numeric_limits<std::int32_t>::max()) throw Error("it is larger than 2 GB");
  // From memory, because from a file protobuf takes 50 MB for whatever claims to be so long.
  const std::string bytes = file.read_text(file.bytes());
  ModelProto message;
  if (!message.ParseFromString(bytes) || !message.has_graph()) {
    throw Error("it is not an ONNX file, or is cut off");
  }
  return message;
}

ExternalBytes elements_beside(fs::path folder) { return FilesBeside(std::move(folder)); }

}  // namespace convoy
