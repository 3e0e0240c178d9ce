#include "engine/backend/cuda/step/newton_schulz.h"

#include "kernels/muon_math.h"

namespace convoy::cuda {
namespace {

Matrix matrix(float* data, std::int64_t rows, std::int64_t columns, bool transposed = false) {
  return {.data = data, .dtype = DType::float32, .rows = rows, .columns = columns, .transposed = transposed};
}

Matrix square(float* data, std::int64_t extent) { return matrix(data, extent, extent); }

}  // namespace

NewtonSchulz::NewtonSchulz(Context& context, const MuonShape& shape, const NewtonSchulzMemory& memory)
    : there_(iteration(context, shape, memory, memory.x, memory.y)),
      back_(iteration(context, shape, memory, memory.y, memory.x)),
      change_(context, {.a = square(memory.gram, shape.inner()),
                        .b = square(memory.gram, shape.inner()),
                        .c = square(memory.change, shape.inner()),
                        .factor = kNewtonSchulzC,
                        .added = memory.gram,
                        .added_factor = kNewtonSchulzB}) {}

NewtonSchulz::Iteration NewtonSchulz::iteration(Context& context, const MuonShape& shape,
                                                const NewtonSchulzMemory& memory, float* from, float* to) {
  const bool wide = shape.is_wide();
  const auto x = [&](bool transposed) { return matrix(from, shape.rows, shape.columns, transposed); };
  const Matrix change = square(memory.change, shape.inner());
  return {Gemm(context, {.a = x(!wide), .b = x(wide), .c = square(memory.gram, shape.inner())}),
          Gemm(context, {.a = wide ? change : x(false),
                         .b = wide ? x(false) : change,
                         .c = matrix(to, shape.rows, shape.columns),
                         .added = from,
                         .added_factor = kNewtonSchulzA})};
}

void NewtonSchulz::execute(std::int64_t steps) {
  for (std::int64_t step = 0; step < steps; ++step) {
    Iteration& iteration = step % 2 == 0 ? there_ : back_;
    iteration.gram.execute();
    change_.execute();
    iteration.next.execute();
  }
}

}  // namespace convoy::cuda
