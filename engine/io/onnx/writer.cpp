// save_onnx: a model as the nodes of a graph.
#include <fcntl.h>
#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <cerrno>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "convoy/error.h"
#include "convoy/onnx.h"
#include "convoy/state.h"
#include "engine/core/atomic_file.h"
#include "engine/core/file.h"
#include "engine/io/onnx/build.h"
#include "engine/io/onnx/group_norm.h"
#include "engine/model/preparation_json.h"
#include "engine/model/window.h"

namespace convoy {
namespace {

using ::onnx::NodeProto;

std::vector<std::int64_t> list(const Extent& extent) { return {extent[0], extent[1]}; }

/// As ONNX has them: both axes' beginnings, then their ends.
std::vector<std::int64_t> pads(const Extent& padding) {
  return {padding[0], padding[1], padding[0], padding[1]};
}

void set_window(NodeProto& node, const Window& window) {
  set_integers(node, "kernel_shape", list(window.kernel_size));
  set_integers(node, "strides", list(window.stride));
  set_integers(node, "pads", pads(window.padding));
}

/// Writes layers one after the other. Layers have the names of the state dict; values have the name of the
/// layer that gives them, with a / in front, which no layer and no weight has.
class GraphWriter {
 public:
  GraphWriter(::onnx::GraphProto& graph, const StateDict& state, const std::vector<LayerInfo>& infos)
      : builder_(graph, state) {
    for (const LayerInfo& info : infos) infos_.emplace(info.name, &info);
  }

  /// Returns the value that the last layer gives: `output`, or a name of its own if that is empty.
  std::string layers(const std::vector<NamedLayer>& layers, const std::string& prefix, std::string value,
                     const std::string& output) {
    for (const NamedLayer& named : layers) {
      const std::string name = prefix + named.name;
      const bool last = !output.empty() && &named == &layers.back();
      const ValueNames names{name, value, last ? output : "/" + name};
      std::visit([&](const auto& layer) { write(layer, names); }, named.layer);
      value = names.output;
    }
    return value;
  }

 private:
  NodeProto& node(const std::string& type, const ValueNames& names, std::vector<std::string> more = {}) {
    more.insert(more.begin(), names.input);
    return builder_.node(type, names.layer, more, names.output);
  }
  std::string weight(const ValueNames& names, const char* tensor) {
    return builder_.weight(names.layer + "." + tensor);
  }

  void write(const Conv2d& layer, const ValueNames& names) {
    std::vector<std::string> weights = {weight(names, "weight")};
    if (layer.bias) weights.push_back(weight(names, "bias"));
    NodeProto& conv = node("Conv", names, weights);
    set_window(conv, window_of(layer));
    set_integers(conv, "dilations", list(layer.dilation));
    set_integer(conv, "group", layer.groups);
  }

  void write(const BatchNorm2d& layer, const ValueNames& names) {
    NodeProto& norm = node("BatchNormalization", names,
                           {weight(names, "weight"), weight(names, "bias"), weight(names, "running_mean"),
                            weight(names, "running_var")});
    set_real(norm, "epsilon", layer.eps);
    // The share of the old statistics, where PyTorch's is that of the batch.
    set_real(norm, "momentum", 1.0 - layer.momentum);
  }

  void write(const GroupNorm& layer, const ValueNames& names) {
    write_group_norm(builder_, layer, infos_.at(names.layer)->input, names);
  }
  void write(const ReLU&, const ValueNames& names) { node("Relu", names); }
  void write(const MaxPool2d& layer, const ValueNames& names) {
    set_window(node("MaxPool", names), window_of(layer));
  }

  void write(const AvgPool2d& layer, const ValueNames& names) {
    NodeProto& pool = node("AveragePool", names);
    set_window(pool, window_of(layer));
    set_integer(pool, "count_include_pad", layer.count_include_pad ? 1 : 0);
  }

  void write(const GlobalAvgPool2d&, const ValueNames& names) { node("GlobalAveragePool", names); }
  void write(const Flatten&, const ValueNames& names) { set_integer(node("Flatten", names), "axis", 1); }

  void write(const Linear& layer, const ValueNames& names) {
    std::vector<std::string> weights = {weight(names, "weight")};
    if (layer.bias) weights.push_back(weight(names, "bias"));
    set_integer(node("Gemm", names, weights), "transB", 1);
  }

  /// Changes nothing in evaluation, but tells who reads it to train on where it was.
  void write(const Dropout& layer, const ValueNames& names) {
    const std::string ratio = names.output + "/ratio";
    builder_.add_tensor(ratio, {{}, {layer.p}});
    node("Dropout", names, {ratio});
  }

  void write(const Residual& layer, const ValueNames& names) {
    const std::string body = layers(layer.body, names.layer + ".", names.input, "");
    const std::string shortcut = layers(layer.shortcut, names.layer + ".", names.input, "");
    builder_.node("Add", names.layer, {body, shortcut}, names.output);
  }

  GraphBuilder builder_;
  std::map<std::string, const LayerInfo*> infos_;
};

void describe(::onnx::ValueInfoProto& value, const std::string& name,
              const std::vector<std::int64_t>& sizes) {
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(::onnx::TensorProto::FLOAT);
  tensor.mutable_shape()->add_dim()->set_dim_param("batch");
  for (const std::int64_t size : sizes) tensor.mutable_shape()->add_dim()->set_dim_value(size);
}

void add_metadata(::onnx::ModelProto& message, const Model& model, const std::vector<std::string>& classes) {
  const auto add = [&](const char* key, const nlohmann::ordered_json& value) {
    auto& entry = *message.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace));
  };
  if (!classes.empty()) add("classes", classes);
  if (model.preparation) add("preparation", json_of_preparation(*model.preparation));
}

::onnx::ModelProto message_of(const Model& model, const StateDict& state,
                              const std::vector<std::string>& classes) {
  constexpr int kIrVersion = 8;  // of the first release with opset 17
  ::onnx::ModelProto message;
  message.set_ir_version(kIrVersion);
  message.set_producer_name("convoy");
  message.set_producer_version(CONVOY_VERSION);
  auto& opset = *message.add_opset_import();
  opset.set_domain("");
  opset.set_version(kOnnxOpset);
  ::onnx::GraphProto& graph = *message.mutable_graph();
  graph.set_name(model.name);
  const Shape& image = model.input;
  describe(*graph.add_input(), "input", {image[0], image[1], image[2]});
  describe(*graph.add_output(), "logits", {class_count(model)});
  const std::vector<LayerInfo> infos = infer(model, 1);
  GraphWriter(graph, state, infos).layers(model.layers, "", "input", "logits");
  add_metadata(message, model, classes);
  return message;
}

/// Throws Error for weights that no ONNX file can hold: protobuf's messages end at 2 GB.
void check_size(const StateDict& state) {
  constexpr std::int64_t kRoomForTheGraph = std::int64_t{64} << 20;
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max() - kRoomForTheGraph;
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : state) bytes += tensor.shape.count() * std::int64_t{sizeof(float)};
  if (bytes > kMost)
    throw Error(fmt::format("its weights take {} bytes, but an ONNX file ends at 2 GB", bytes));
}

}  // namespace

void save_onnx(const Model& model, const StateDict& state, const std::vector<std::string>& classes,
               const std::filesystem::path& file,
               const std::function<void(const std::filesystem::path&)>& check) {
  check_state(model, state, "the state");
  check_size(state);
  const ::onnx::ModelProto message = message_of(model, state, classes);
  write_atomically(file, [&](const std::filesystem::path& temporary) {
    Descriptor out(::open(temporary.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
    if (out.get() < 0 || !message.SerializeToFileDescriptor(out.get()) || out.close() != 0) {
      throw Error(fmt::format("cannot write {}: {}", file.string(), std::generic_category().message(errno)));
    }
    if (check) check(temporary);
  });
}

}  // namespace convoy
