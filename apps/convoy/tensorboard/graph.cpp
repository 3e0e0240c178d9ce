// The network as TensorBoard's graph.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "apps/convoy/tensorboard/messages.h"

namespace convoy {
namespace {

namespace node {
enum : std::uint32_t { name = 1, op = 2, input = 3, attr = 5 };
}

/// TensorBoard groups nodes by the parts of a path.
std::string path_of(std::string name) {
  std::ranges::replace(name, '.', '/');
  return name;
}

/// The attribute from which TensorBoard tells the size of what a node puts out: [-1, C, H, W].
ProtoMessage shape_attribute(const Shape& shape) {
  ProtoMessage dimensions;
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    dimensions.message(2, ProtoMessage().integer(1, i == 0 ? -1 : shape[i]));
  }
  const ProtoMessage list = ProtoMessage().message(7, dimensions);
  return ProtoMessage().text(1, "_output_shapes").message(2, ProtoMessage().message(1, list));
}

class Graph {
 public:
  explicit Graph(const Model& model) {
    for (const LayerInfo& info : infer(model, 1)) infos_.emplace(info.name, info);
    const std::string input = add("input", "Placeholder", {}, {});
    chain(model.layers, "", input);
    constexpr std::int64_t kProducer = 22;  // of the version since which the format is as it is here
    graph_.message(4, ProtoMessage().integer(1, kProducer));
  }

  const ProtoMessage& message() const { return graph_; }

 private:
  std::string add(const std::string& name, const std::string& type, const std::vector<std::string>& inputs,
                  const std::vector<ProtoMessage>& attributes) {
    ProtoMessage added = ProtoMessage().text(node::name, name).text(node::op, type);
    for (const std::string& input : inputs) added.text(node::input, input);
    for (const ProtoMessage& attribute : attributes) added.message(node::attr, attribute);
    graph_.message(1, added);
    return name;
  }

  /// Adds layers that follow one another behind `last`; returns the name of the last one.
  std::string chain(const std::vector<NamedLayer>& layers, const std::string& prefix, std::string last) {
    for (const NamedLayer& layer : layers) {
      const std::string name = prefix + layer.name;
      std::vector<ProtoMessage> attributes;
      if (const auto info = infos_.find(name); info != infos_.end()) {
        attributes.push_back(shape_attribute(info->second.output));
        attributes.push_back(ProtoMessage()
                                 .text(1, "parameters")
                                 .message(2, ProtoMessage().integer(3, info->second.parameters)));
      }
      if (const auto* const residual = std::get_if<Residual>(&layer.layer)) {
        const std::string body = chain(residual->body, name + ".body.", last);
        const std::string shortcut = chain(residual->shortcut, name + ".shortcut.", last);
        last = add(path_of(name) + "/add", "Add", {body, shortcut}, attributes);
      } else {
        last = add(path_of(name), type_name(layer.layer), {last}, attributes);
      }
    }
    return last;
  }

  std::map<std::string, LayerInfo> infos_;
  ProtoMessage graph_;
};

}  // namespace

ProtoMessage graph_event(const Model& model) {
  constexpr std::uint32_t kGraphDef = 4;
  return ProtoMessage().text(kGraphDef, Graph(model).message().bytes());
}

}  // namespace convoy
