/// @file
/// Muon, the optimizer of matrices.
#pragma once

#include <cstdint>

namespace convoy {

/// Muon (Jordan et al., 2024) as torch.optim.Muon has it: the momentum of a matrix is orthogonalised by
/// Newton-Schulz iterations before it is subtracted, so that it moves in all its directions alike. A
/// convolution's weight counts as a matrix [out, in KH KW]. Where PyTorch iterates in bf16, this does in
/// fp32.
struct MuonOptions {
  /// How the learning rate goes with a matrix's shape, PyTorch's adjust_lr_fn.
  enum class AdjustRate : std::int32_t {
    original,         ///< times sqrt(max(1, rows / columns))
    match_rms_adamw,  ///< times 0.2 sqrt(max(rows, columns)): updates as large as AdamW's, for a rate of its
                      ///< kind
  };

  float learning_rate = 0.02f;  ///< above 0, before the schedule; PyTorch's lr, whose default is 1e-3
  float momentum = 0.95f;       ///< in [0, 1)
  bool nesterov = true;         ///< Nesterov's momentum
  float weight_decay = 0.1f;    ///< at least 0; decoupled, as AdamW's
  std::int64_t steps = 5;       ///< iterations, 1 to 99; PyTorch's ns_steps
  AdjustRate adjust_rate = AdjustRate::original;  ///< see there
  bool linear_layers = false;  ///< the weights of linear layers, too, but for the last layer's
};

}  // namespace convoy
