#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "convoy/error.h"
#include "convoy/model.h"
#include "engine/model/layer_rules.h"
#include "engine/model/text.h"

namespace convoy {
namespace {

constexpr int kMaxResidualDepth = 8;
// A step of more, 1e18 operations, is a mistake in the model; below it no sum of FLOPs overflows.
constexpr std::int64_t kMaxFlops = 1'000'000'000'000'000'000;

/// What flows from layer to layer.
struct Flow {
  Shape shape;
  bool trained = false;  // something in front has parameters, so a gradient must reach it
};

class ShapeInference {
 public:
  std::vector<LayerInfo> run(const Model& model, std::int64_t batch) {
    const auto image = model.input.dimensions();
    through(model.layers, "", {.shape = {batch, image[0], image[1], image[2]}}, 0);
    return std::move(infos_);
  }

 private:
  Flow through(const std::vector<NamedLayer>& layers, const std::string& prefix, Flow flow, int depth) {
    for (const NamedLayer& named : layers) {
      const LayerSite site{prefix + named.name, type_name(named.layer), flow.shape};
      if (!is_layer_name(named.name)) {
        site.fail(
            "a name is made of letters, digits, '_' and '-' in parts joined by single dots, 128 at most");
      }
      if (!names_.insert(site.name).second)
        site.fail("the name is taken by another layer; rename one of them");
      flow = std::visit(
          [&](const auto& layer) {
            if constexpr (std::is_same_v<std::decay_t<decltype(layer)>, Residual>) {
              return residual(site, layer, flow, depth);
            } else {
              return Flow{output_shape(site, layer), flow.trained};
            }
          },
          named.layer);
      record(site, named.layer, flow);
    }
    return flow;
  }

  Flow residual(const LayerSite& site, const Residual& layer, const Flow& flow, int depth) {
    if (depth == kMaxResidualDepth) {
      site.fail(fmt::format("residuals are nested more than {} deep; flatten the model", kMaxResidualDepth));
    }
    if (layer.body.empty()) site.fail("its body is empty; give it at least one layer");
    const Flow body = through(layer.body, site.name + ".", flow, depth + 1);
    const Flow shortcut = through(layer.shortcut, site.name + ".", flow, depth + 1);
    if (body.shape != shortcut.shape) {
      site.fail(fmt::format(
          "its body gives {}, but its shortcut{} gives {}; make them equal, for example by a "
          "1x1 Conv2d with the body's channels and stride in the shortcut",
          body.shape.str(), layer.shortcut.empty() ? " (the identity)" : "", shortcut.shape.str()));
    }
    return {body.shape, body.trained || shortcut.trained};
  }

  /// Adds a layer's entry and counts; `flow` is what leaves the layer, `trained` still what held in front.
  void record(const LayerSite& site, const Layer& layer, Flow& flow) {
    LayerInfo info{.name = site.name, .layer = &layer, .input = site.input, .output = flow.shape};
    for (const TensorSpec& spec : layer_tensors(layer)) {
      if (!spec.trainable()) continue;
      info.parameters += spec.shape.count();
      const bool multiplied = spec.role == TensorRole::weight && spec.shape.rank() > 1;  // not a batch norm's
      if (!multiplied) continue;
      info.forward_flops = 2 * info.output.count() * fan_in(spec.shape);
      if (info.forward_flops > kMaxFlops / 3)
        site.fail("needs more than 3e17 FLOPs; make it or the batch smaller");
      info.backward_flops = info.forward_flops * (flow.trained ? 2 : 1);
    }
    parameters_ += info.parameters;
    flops_ += info.forward_flops + info.backward_flops;
    if (parameters_ > kMaxElements) {
      site.fail(fmt::format("with it the model has more than {} parameters; make it smaller", kMaxElements));
    }
    if (flops_ > kMaxFlops)
      site.fail("with it a training step takes more than 1e18 FLOPs; make the model smaller");
    flow.trained = flow.trained || info.parameters > 0;
    infos_.push_back(std::move(info));
  }

  std::vector<LayerInfo> infos_;
  std::unordered_set<std::string> names_;
  std::int64_t parameters_ = 0;
  std::int64_t flops_ = 0;
};

void require_input(const Model& model, std::int64_t batch) {
  if (model.input.rank() != 3 ||
      std::ranges::any_of(model.input.dimensions(), [](auto d) { return d < 1; })) {
    throw UsageError(fmt::format("model {}: input {} is not an image shape [C, H, W] of positive sizes",
                                 in_quotes(model.name), model.input.str()));
  }
  if (model.layers.empty()) throw UsageError(fmt::format("model {} has no layers", in_quotes(model.name)));
  if (batch < 1) throw UsageError(fmt::format("batch size {} is not positive", batch));
  const auto image = model.input.dimensions();
  if (!fits_in_a_tensor({batch, image[0], image[1], image[2]})) {
    throw UsageError(
        fmt::format("a batch of {} images {} has more than {} elements; use a smaller batch size", batch,
                    model.input.str(), kMaxElements));
  }
}

}  // namespace

std::vector<LayerInfo> infer(const Model& model, std::int64_t batch) {
  require_input(model, batch);
  return ShapeInference().run(model, batch);
}

std::int64_t class_count(const Model& model) {
  const LayerInfo last = infer(model, 1).back();
  if (last.output.rank() != 2) {
    throw UsageError(
        fmt::format("model {}: its last layer {} puts out {}, not [N, classes]; end with a Flatten "
                    "and a Linear",
                    in_quotes(model.name), in_quotes(last.name), last.output.str()));
  }
  return last.output[1];
}

}  // namespace convoy
