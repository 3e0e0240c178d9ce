#include "engine/train/parameter_groups.h"

#include <algorithm>

#include "convoy/error.h"

namespace convoy {
namespace {

constexpr std::size_t kConvolution = 4, kLinear = 2;  // dimensions of their weights

}  // namespace

std::vector<ParameterGroup> parameter_groups(std::span<const TensorSpec> specs, bool weights_only,
                                             const std::optional<MuonOptions>& muon) {
  std::vector<ParameterGroup> groups;
  if (!weights_only && !muon) return groups;
  const TensorSpec* last_weight = nullptr;
  for (const TensorSpec& spec : specs) {
    if (spec.trainable() && spec.shape.rank() > 1) last_weight = &spec;
  }
  for (const TensorSpec& spec : specs) {
    if (!spec.trainable()) continue;
    const std::size_t rank = spec.shape.rank();
    const bool is_matrix = rank == kConvolution || (rank == kLinear && muon && muon->linear_layers);
    groups.push_back(muon && is_matrix && &spec != last_weight ? ParameterGroup::orthogonalized
                     : weights_only && rank == 1               ? ParameterGroup::undecayed
                                                               : ParameterGroup::decayed);
  }
  if (muon && std::ranges::find(groups, ParameterGroup::orthogonalized) == groups.end()) {
    throw UsageError(
        "Muon trains the weights of convolutions but the last layer's, and this model has none: "
        "leave it out, or let it have linear layers, too");
  }
  return groups;
}

}  // namespace convoy
