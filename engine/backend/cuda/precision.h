// In which precision the CUDA backend computes.
#pragma once

namespace convoy {

enum class Precision {
  fp32,  // fp32 throughout, no TF32: cuDNN would round inputs unasked
  tf32,  // fp32 in memory, products on tensor cores with 10 bits of mantissa
  bf16,  // activations and their gradients in bf16, parameters and statistics in fp32
};

}  // namespace convoy
