#include "apps/convoy/model_fit.h"

#include <algorithm>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/model/named_shapes.h"

namespace convoy {
namespace {

constexpr std::int64_t kMostExtent = 256;  // of the images that are tried

std::vector<std::vector<std::int64_t>> sorted_shapes(const std::vector<const Shape*>& shapes) {
  std::vector<std::vector<std::int64_t>> sorted;
  for (const Shape* const shape : shapes) {
    if (shape->rank() == 0) continue;  // num_batches_tracked, which may be missing
    sorted.emplace_back(shape->dimensions().begin(), shape->dimensions().end());
  }
  std::ranges::sort(sorted);
  return sorted;
}

bool has_shapes(const Model& model, const std::vector<std::vector<std::int64_t>>& shapes) {
  const std::vector<TensorSpec> specs = tensor_specs(model);
  std::vector<const Shape*> of_model;
  for (const TensorSpec& spec : specs) of_model.push_back(&spec.shape);
  return sorted_shapes(of_model) == shapes;
}

/// Heights and widths to try, the usual ones first.
std::vector<std::int64_t> extents(std::int64_t channels) {
  std::vector<std::int64_t> order = {28, 32};
  if (channels == 3) std::ranges::reverse(order);
  for (std::int64_t extent = 4; extent <= kMostExtent; ++extent) order.push_back(extent);
  return order;
}

}  // namespace

bool fits(const Model& model, const std::vector<StoredTensor>& tensors) {
  std::vector<NamedShape> named;
  for (const StoredTensor& tensor : tensors) named.push_back({tensor.name, tensor.shape});
  return is_state_of(model, std::move(named));
}

std::optional<Model> fitting_builtin(const std::vector<StoredTensor>& tensors) {
  const auto has_rank = [](std::size_t rank) {
    return [rank](const StoredTensor& tensor) { return tensor.shape.rank() == rank; };
  };
  const auto first = std::ranges::find_if(tensors, has_rank(4));                  // of a convolution
  const auto last = std::find_if(tensors.rbegin(), tensors.rend(), has_rank(2));  // of a linear layer
  if (first == tensors.end() || last == tensors.rend()) return std::nullopt;
  const std::int64_t channels = first->shape[1], classes = last->shape[0];
  std::vector<const Shape*> all;
  for (const StoredTensor& tensor : tensors) all.push_back(&tensor.shape);
  const auto shapes = sorted_shapes(all);
  for (const std::string_view name : builtin_model_names()) {
    for (const std::int64_t extent : extents(channels)) {
      try {
        Model model = builtin_model(std::string(name), {channels, extent, extent}, classes);
        if (has_shapes(model, shapes) && fits(model, tensors)) return model;
      } catch (const UsageError&) {
        // It takes no such images.
      }
    }
  }
  return std::nullopt;
}

}  // namespace convoy
