// The matrix products of Muon: X <- a X + (b G + c G G) X with G = X X^T, over and over.
#pragma once

#include <vector>

#include "engine/backend/cuda/layers/gemm.h"
#include "engine/backend/muon_shape.h"

namespace convoy::cuda {

/// Where a matrix [rows, columns] is, and what it takes to iterate on it. `x` and `y` take turns.
struct NewtonSchulzMemory {
  float* x;
  float* y;
  float* gram;    // [inner, inner]
  float* change;  // likewise
};

class NewtonSchulz {
 public:
  NewtonSchulz(Context& context, const MuonShape& shape, const NewtonSchulzMemory& memory);

  /// Enqueues `steps` iterations from x. The result is in x if they are even, else in y.
  void execute(std::int64_t steps);

 private:
  struct Iteration {
    Gemm gram, next;
  };
  static Iteration iteration(Context& context, const MuonShape& shape, const NewtonSchulzMemory& memory,
                             float* from, float* to);

  Iteration there_, back_;
  Gemm change_;
};

}  // namespace convoy::cuda
