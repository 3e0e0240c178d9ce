// load_onnx: the file, what lies beside it, and its metadata.
#include <fmt/format.h>
#include <onnx/onnx_pb.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "convoy/error.h"
#include "convoy/onnx.h"
#include "engine/core/file.h"
#include "engine/io/onnx/graph.h"
#include "engine/io/onnx/names.h"
#include "engine/io/onnx/network.h"
#include "engine/io/quote.h"
#include "engine/model/preparation_json.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using ::onnx::ModelProto;
using ::onnx::TensorProto;

constexpr std::int64_t kOldestOpset = 7;

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw Error(fmt::format("{} is not a place in a file", quote(text)));
  }
  return value;
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

/// Reads from a file beside the model's, and from no other folder.
std::string external_bytes(const fs::path& folder, const TensorProto& tensor, std::size_t bytes) {
  std::string location;
  std::uint64_t offset = 0, length = bytes;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = number(entry.value());
    if (entry.key() == "length") length = number(entry.value());
  }
  const bool beside = !location.empty() && location.find('/') == std::string::npos && location != "." &&
                      location != ".." && location.find('\0') == std::string::npos;
  if (!beside) {
    throw Error(fmt::format("its elements are in {}; only a file in the folder of the ONNX file is read",
                            quote(location)));
  }
  if (length != bytes) {
    throw Error(fmt::format("its elements take {} bytes, but {} are named", bytes, length));
  }
  auto elements = bytes_at(opened(folder, location), offset, bytes);
  if (!elements)
    throw Error(fmt::format("{} has not {} bytes from byte {} on", quote(location), bytes, offset));
  return std::move(*elements);
}

ModelProto parse(const InputFile& file) {
  if (file.bytes() > std::numeric_limits<std::int32_t>::max()) throw Error("it is larger than 2 GB");
  ModelProto message;
  if (!message.ParseFromFileDescriptor(file.descriptor().get()) || !message.has_graph()) {
    throw Error("it is not an ONNX file, or is cut off");
  }
  return message;
}

void check_opset(const ModelProto& message) {
  for (const auto& opset : message.opset_import()) {
    if (!opset.domain().empty() && opset.domain() != "ai.onnx") continue;
    if (opset.version() >= kOldestOpset) return;
    throw Error(fmt::format("it has opset {}; {} and newer are read: export it again, with opset_version=17",
                            opset.version(), kOldestOpset));
  }
  throw Error("it does not say of which opset its operators are");
}

/// How the training images were made, in a file of Convoy's.
std::optional<Preparation> preparation_of(const ModelProto& message) {
  if (message.producer_name() != "convoy") return std::nullopt;
  for (const auto& entry : message.metadata_props()) {
    if (entry.key() != "preparation") continue;
    constexpr std::size_t kMost = std::size_t{64} << 10;
    // nlohmann's parser recurses into what is nested; a preparation has two levels.
    const bool flat = entry.value().size() <= kMost &&
                      std::count(entry.value().begin(), entry.value().end(), '{') +
                              std::count(entry.value().begin(), entry.value().end(), '[') <=
                          16;
    const auto json = flat ? nlohmann::ordered_json::parse(entry.value(), nullptr, /*allow_exceptions=*/false)
                           : nlohmann::ordered_json();
    if (!json.is_object()) throw Error("its metadata 'preparation' is no JSON object");
    return preparation_of_json(json, "its metadata 'preparation'");
  }
  return std::nullopt;
}

OnnxModel read(const InputFile& file) {
  const ModelProto message = parse(file);
  check_opset(message);
  const fs::path folder = file.path().parent_path();
  OnnxGraph graph(message.graph(), [&](const TensorProto& tensor, std::size_t bytes) {
    return external_bytes(folder, tensor, bytes);
  });
  const std::string stem = model_name(file.path().stem().string(), "imported");
  const std::string name =
      message.producer_name() == "convoy" ? model_name(message.graph().name(), stem) : stem;
  OnnxModel read = OnnxNetwork(graph).read(name);
  read.model.preparation = preparation_of(message);
  return read;
}

}  // namespace

OnnxModel load_onnx(const fs::path& file) {
  const InputFile input(file);
  try {
    return read(input);
  } catch (const Error& error) {
    throw Error(fmt::format("cannot import {}: {}", file.string(), error.what()));
  } catch (const std::bad_alloc&) {
    throw Error(fmt::format("cannot import {}: not enough memory", file.string()));
  }
}

}  // namespace convoy
