// load_onnx: the network of a file, and its metadata.
#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>

#include "convoy/error.h"
#include "convoy/onnx.h"
#include "engine/core/file.h"
#include "engine/io/onnx/file.h"
#include "engine/io/onnx/graph.h"
#include "engine/io/onnx/names.h"
#include "engine/io/onnx/network.h"
#include "engine/model/preparation_json.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using ::onnx::ModelProto;

constexpr std::int64_t kOldestOpset = 7;

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

OnnxModel read(InputFile& file) {
  const ModelProto message = read_message(file);
  check_opset(message);
  OnnxGraph graph(message.graph(), elements_beside(file.path().parent_path()));
  const std::string stem = model_name(file.path().stem().string(), "imported");
  const std::string name =
      message.producer_name() == "convoy" ? model_name(message.graph().name(), stem) : stem;
  OnnxModel read = OnnxNetwork(graph).read(name);
  read.model.preparation = preparation_of(message);
  return read;
}

}  // namespace

OnnxModel load_onnx(const fs::path& file) {
  InputFile input(file);
  try {
    return read(input);
  } catch (const Error& error) {
    throw Error(fmt::format("cannot import {}: {}", file.string(), error.what()));
  } catch (const std::bad_alloc&) {
    throw Error(fmt::format("cannot import {}: not enough memory", file.string()));
  }
}

}  // namespace convoy
