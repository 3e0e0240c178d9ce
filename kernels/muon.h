// What Muon does element by element, around the matrix products that orthogonalise: three launches for all
// its matrices.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "engine/core/step_scalars.h"

struct __nv_bfloat16;  // <cuda_bf16.h>

namespace convoy::kernels {

/// Elements of a matrix that one block has, at most.
constexpr std::int32_t kMuonChunk = 4096;

/// One block's share of the arena; it lies in one matrix.
struct MuonChunk {
  std::int64_t begin = 0;  // in the arena, a multiple of 4
  std::int32_t count = 0;
  std::int32_t matrix = 0;
};

struct MuonMatrix {
  std::int32_t first_chunk = 0;
  std::int32_t chunks = 0;
  float shape_factor = 1.0f;  // on the learning rate
};

/// The arenas of all parameters, on the device; only the elements of chunks are read and written.
struct MuonArenas {
  float* parameters = nullptr;
  const float* gradients = nullptr;
  float* momentum = nullptr;               // zero before the first update
  float* directions = nullptr;             // what is orthogonalised
  const float* orthogonal = nullptr;       // what has become of it
  __nv_bfloat16* copies = nullptr;         // of the new parameters, rounded; null: not wanted
  const float* gradient_factor = nullptr;  // by which gradients are multiplied; null: 1
  const MuonChunk* chunks = nullptr;
  std::int32_t chunk_count = 0;
  const MuonMatrix* matrices = nullptr;
  double* partials = nullptr;  // [chunk_count]
};

struct MuonRule {
  float momentum = 0.0f;
  bool nesterov = false;
  float weight_decay = 0.0f;
  float rate_factor = 1.0f;  // of Muon's learning rate to the one in the step's scalars
};

/// Enqueues directions = the momentum's, each matrix divided by its norm. Two launches; the norms are summed
/// in double in a fixed order. Without a chunk it enqueues nothing, nor does muon_apply. Throws CudaError.
void muon_directions(const MuonArenas& arenas, const MuonRule& rule, cudaStream_t stream);

/// Enqueues the parameters' update by `orthogonal`. Throws CudaError.
void muon_apply(const MuonArenas& arenas, const MuonRule& rule, const StepScalars* scalars,
                cudaStream_t stream);

}  // namespace convoy::kernels
