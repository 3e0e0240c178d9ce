#include "engine/io/onnx/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/io/onnx/group_norm.h"
#include "engine/io/onnx/node.h"
#include "engine/io/quote.h"
#include "engine/model/layer_rules.h"

namespace convoy {
namespace {

using ::onnx::NodeProto;

constexpr int kMaxDepth = 8;  // of residuals in residuals, as in every model

/// The output of a layer that is not a residual.
Shape shape_behind(const ReadLayer& read, const Shape& input) {
  const LayerSite site{read.name, type_name(read.layer), input};
  return std::visit(
      [&](const auto& layer) {
        if constexpr (std::is_same_v<std::decay_t<decltype(layer)>, Residual>) {
          return input;
        } else {
          return output_shape(site, layer);
        }
      },
      read.layer);
}

/// Moves what was read into a model's layers, and its tensors into `tensors`.
std::vector<NamedLayer> layers_of(std::vector<ReadLayer>& read, const std::string& prefix,
                                  std::map<std::string, HostTensor>& tensors) {
  std::vector<NamedLayer> layers;
  for (ReadLayer& layer : read) {
    const std::string name = prefix + layer.name + ".";
    for (auto& [tensor, values] : layer.tensors) tensors.insert_or_assign(name + tensor, std::move(values));
    if (auto* const residual = std::get_if<Residual>(&layer.layer)) {
      residual->body = layers_of(layer.body, name, tensors);
      residual->shortcut = layers_of(layer.shortcut, name, tensors);
    }
    layers.push_back({std::move(layer.name), std::move(layer.layer)});
  }
  return layers;
}

bool adds_constant(const OnnxGraph& graph, const NodeProto& node) {
  return std::ranges::any_of(node.input(), [&](const std::string& name) { return graph.is_constant(name); });
}

}  // namespace

OnnxModel OnnxNetwork::read(const std::string& name) {
  const Shape& image = graph_.image();
  note(graph_.input(), {1, image[0], image[1], image[2]});
  Chain chain;
  chain.value = graph_.input();
  extend(chain, 0);
  if (chain.join != nullptr) fail(*chain.join, "it adds two values that do not come from the same one");
  std::map<std::string, HostTensor> tensors;
  OnnxModel read{.model = {.name = name, .input = image, .layers = layers_of(chain.layers, "", tensors)}};
  for (const TensorSpec& spec : tensor_specs(read.model)) {
    const auto found = tensors.find(spec.name);
    if (found != tensors.end()) read.state.emplace_back(spec.name, std::move(found->second));
  }
  read.notes = std::move(notes_);
  check_state(read.model, read.state, "the file");
  class_count(read.model);  // throws unless it puts out [N, classes]
  return read;
}

void OnnxNetwork::note(const std::string& value, const Shape& shape) {
  shape_of_.insert_or_assign(value, shape);
  shapes_.note(value, shape);
}

OnnxNetwork::Chain OnnxNetwork::follow(Edge edge, int depth) {
  Chain chain;
  do {
    if (edge.node->op_type() == "Add" && !adds_constant(graph_, *edge.node)) {
      chain.value = edge.value;
      chain.join = edge.node;
      return chain;
    }
    edge.value = take(chain, edge);
  } while (advance(chain, edge, depth));
  return chain;
}

bool OnnxNetwork::advance(Chain& chain, Edge& edge, int depth) {
  while (edge.value != graph_.output() && graph_.consumers(edge.value).size() > 1) {
    edge.value = branch(chain, edge.value, depth);
  }
  chain.value = edge.value;
  if (edge.value == graph_.output()) return false;
  const auto& consumers = graph_.consumers(edge.value);
  if (consumers.empty()) {
    throw Error(fmt::format("no node takes {}, and it is not the output", quote(edge.value)));
  }
  edge.node = consumers.front();
  return true;
}

std::string OnnxNetwork::take(Chain& chain, const Edge& edge) {
  const NodeProto& node = *edge.node;
  const NodeSite site{
      graph_, shapes_, node, shape_of_.at(edge.value), chain.layers.empty() ? nullptr : &chain.layers.back(),
      &notes_};
  if (node.op_type() == "Add") {
    add_bias(site);
    note(node.output(0), site.input);
    return node.output(0);
  }
  if (node.input(0) != edge.value) {
    fail(node, fmt::format("it takes {} as another input than its first", quote(edge.value)));
  }
  std::string output = node.output(0);
  Shape shape = site.input;
  if (auto group_norm = read_group_norm(site)) {
    output = group_norm->output;
    shape = append(chain, std::move(group_norm->layer), site);
  } else if (auto layer = read_layer(site)) {
    shape = append(chain, std::move(*layer), site);
  }
  note(output, shape);
  return output;
}

Shape OnnxNetwork::append(Chain& chain, ReadLayer layer, const NodeSite& site) {
  layer.name = names_.of(layer, site.node);
  Shape shape = shape_behind(layer, site.input);
  const bool flattens = layer.flattens;
  chain.layers.push_back(std::move(layer));
  if (!flattens) return shape;
  return append(chain, ReadLayer{.layer = Flatten{}}, {site.graph, site.shapes, site.node, shape});
}

void OnnxNetwork::extend(Chain& chain, int depth) {
  Edge edge{chain.value};
  chain.join = nullptr;
  if (!advance(chain, edge, depth)) return;
  Chain rest = follow(edge, depth);
  std::ranges::move(rest.layers, std::back_inserter(chain.layers));
  chain.value = std::move(rest.value);
  chain.join = rest.join;
}

std::string OnnxNetwork::branch(Chain& chain, const std::string& value, int depth) {
  const auto& consumers = graph_.consumers(value);
  // Of three branches two are a residual within another.
  const std::size_t within = static_cast<std::size_t>(depth) + consumers.size() - 1;
  if (within > kMaxDepth) {
    fail(*consumers.back(), fmt::format("residuals are nested more than {} deep", kMaxDepth));
  }
  depth = static_cast<int>(within);
  std::vector<Chain> open;
  for (std::size_t i = 0; i < consumers.size(); ++i) {
    Chain next = follow({value, consumers[i]}, depth);
    const auto ends_as_next = [&](const Chain& other) {
      return next.join != nullptr && other.join == next.join;
    };
    for (auto first = std::ranges::find_if(open, ends_as_next); first != open.end();
         first = std::ranges::find_if(open, ends_as_next)) {
      next = joined(*first, next);
      open.erase(first);
      if (open.empty() && i + 1 == consumers.size()) {
        std::ranges::move(next.layers, std::back_inserter(chain.layers));
        return next.value;
      }
      extend(next, depth);
    }
    open.push_back(std::move(next));
  }
  fail(*consumers.back(), fmt::format("{} is taken by {} nodes, but Adds of two do not end their branches",
                                      quote(value), consumers.size()));
}

OnnxNetwork::Chain OnnxNetwork::joined(Chain& first, Chain& second) {
  const NodeProto& join = *first.join;
  if (join.input_size() != 2) fail(join, fmt::format("it has {} inputs, not two", join.input_size()));
  // What is added first is the body, as PyTorch's networks have it, unless it is the value itself.
  const bool swap = first.value != join.input(0);
  ReadLayer residual{
      .layer = Residual{}, .body = std::move(first.layers), .shortcut = std::move(second.layers)};
  if (swap) std::swap(residual.body, residual.shortcut);
  if (residual.body.empty()) std::swap(residual.body, residual.shortcut);
  if (residual.body.empty()) fail(join, "it adds a value to itself");
  const Shape shape = shape_of_.at(first.value);
  if (shape != shape_of_.at(second.value)) {
    fail(join, fmt::format("it adds {} to {}; only two of the same shape can be read", shape.str(),
                           shape_of_.at(second.value).str()));
  }
  names_.give(residual, join);
  note(join.output(0), shape);
  Chain chain;
  chain.layers.push_back(std::move(residual));
  chain.value = join.output(0);
  return chain;
}

}  // namespace convoy
