#include "engine/io/onnx/names.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "engine/model/text.h"

namespace convoy {
namespace {

constexpr std::string_view kWeight = ".weight";

/// The module of a node, as PyTorch's exporters name it: "layer1.2" of "/layer1/layer1.2/Relu", "block.relu"
/// of "/block/relu/Relu", "relu" of "node_relu". Convoy's own nodes have the names of their layers.
std::string module_of(std::string_view node) {
  constexpr std::string_view kDynamo = "node_";
  if (node.starts_with(kDynamo)) return std::string(node.substr(kDynamo.size()));
  if (node.find('/') == std::string_view::npos) return std::string(node);
  std::string module;
  for (std::size_t end = node.find('/'); end != std::string_view::npos; end = node.find('/')) {
    const std::string part(node.substr(0, end));
    node.remove_prefix(end + 1);
    if (part.empty()) continue;
    const bool whole = module.empty() || part.starts_with(module + ".");
    module = whole ? part : module + "." + part;
  }
  return module;
}

/// The part of dotted names that all layers with weights have in front: "block1" of "block1.conv1.0" and
/// "block1.bn"; empty if there is none.
std::string common_module(const std::vector<const ReadLayer*>& layers) {
  std::string common;
  bool first = true;
  for (const ReadLayer* layer : layers) {
    if (layer->tensors.empty() && layer->body.empty()) continue;
    std::string module = layer->name.substr(0, std::min(layer->name.rfind('.'), layer->name.size()));
    if (module == layer->name) return "";  // no dot
    if (first) common = module;
    first = false;
    while (!common.empty() && module != common && !module.starts_with(common + ".")) {
      const std::size_t dot = common.rfind('.');
      common.resize(dot == std::string::npos ? 0 : dot);
    }
  }
  return common;
}

}  // namespace

bool LayerNames::take(const std::string& name) { return is_layer_name(name) && taken_.insert(name).second; }

std::string LayerNames::numbered(const Layer& layer) {
  std::string type = type_name(layer);
  std::ranges::transform(type, type.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (int& number = numbers_[type];;) {
    std::string name = type + std::to_string(++number);
    if (take(name)) return name;
  }
}

std::string LayerNames::of(const ReadLayer& layer, const ::onnx::NodeProto& node) {
  if (layer.weight.ends_with(kWeight)) {
    std::string name = layer.weight.substr(0, layer.weight.size() - kWeight.size());
    if (take(name)) return name;
  }
  std::string module = module_of(node.name());
  return take(module) ? module : numbered(layer.layer);
}

void LayerNames::give(ReadLayer& residual, const ::onnx::NodeProto& join) {
  std::vector<ReadLayer*> within;
  for (auto* branch : {&residual.body, &residual.shortcut}) {
    for (ReadLayer& layer : *branch) within.push_back(&layer);
  }
  std::string name = common_module({within.begin(), within.end()});
  // The node may be named after a module further out: a residual of one layer in it.
  const std::string module = module_of(join.name());
  if (is_layer_name(module) && name.starts_with(module + ".")) name = module;
  if (!take(name)) name = numbered(residual.layer);
  residual.name = name;
  for (ReadLayer* layer : within) {
    if (layer->name.starts_with(name + ".")) {
      layer->name.erase(0, name.size() + 1);
      continue;
    }
    // Its whole name gets that of the residual in front, and another layer may have such a one.
    while (!taken_.insert(name + "." + layer->name).second) layer->name = numbered(layer->layer);
  }
}

std::string model_name(const std::string& text, const std::string& otherwise) {
  constexpr std::size_t kMost = 64;
  std::string name;
  for (const char c : text.substr(0, kMost)) {
    const bool possible = is_layer_name(std::string(1, c));
    if (possible || (c == '.' && !name.empty() && name.back() != '.')) name += c;
    if (!possible && c != '.' && !name.empty() && name.back() != '-') name += '-';
  }
  while (!name.empty() && (name.back() == '.' || name.back() == '-')) name.pop_back();
  return is_layer_name(name) ? name : otherwise;
}

}  // namespace convoy
