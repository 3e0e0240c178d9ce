// Muon: own loops around oneDNN's matrix products.
#include <cmath>
#include <cstring>
#include <dnnl.hpp>

#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/gradient_clip.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/tensor.h"
#include "engine/backend/muon_shape.h"
#include "kernels/muon_math.h"

namespace convoy::cpu {
namespace {

/// c = factor op(a) op(b) + added_factor c, all row-major; `inner` is summed over.
struct Product {
  bool a_transposed, b_transposed;
  std::int64_t rows, columns, inner;
  float factor;
  const float *a, *b;
  float added_factor;
  float* c;
};

void multiply(const Product& p) {
  const auto status = dnnl::sgemm(p.a_transposed ? 'T' : 'N', p.b_transposed ? 'T' : 'N', p.rows, p.columns,
                                  p.inner, p.factor, p.a, p.a_transposed ? p.rows : p.inner, p.b,
                                  p.b_transposed ? p.inner : p.columns, p.added_factor, p.c, p.columns);
  if (status != dnnl::status::success) throw Error("oneDNN's sgemm failed");
}

class Muon final : public Optimizer {
 public:
  Muon(CpuParameters& arena, const StepCounter& counter, const MuonOptions& options, const UpdateRule& rule)
      : counter_(counter),
        options_(options),
        clip_(rule.clip),
        momentum_(std::make_shared<Buffer>(arena.values().size_bytes())) {
    const std::vector<TensorPtr> buffers = arena.tensors_over(momentum_);
    state_ = {{"momentum_buffer", buffers}};
    std::int64_t largest = 0, largest_inner = 0;
    for (std::size_t i = 0; i < rule.groups.size(); ++i) {
      if (rule.groups[i] != ParameterGroup::orthogonalized) continue;
      const Variable& variable = arena.variables()[i];
      const MuonShape shape(variable.value->shape());
      matrices_.push_back({shape, as_floats("Muon", variable.value)->floats(),
                           as_floats("Muon", variable.grad)->floats(),
                           as_floats("Muon", buffers[i])->floats()});
      largest = std::max(largest, shape.rows * shape.columns);
      largest_inner = std::max(largest_inner, shape.inner() * shape.inner());
    }
    for (std::vector<float>* of_matrix : {&x_, &y_}) of_matrix->resize(static_cast<std::size_t>(largest));
    for (std::vector<float>* square : {&gram_, &change_})
      square->resize(static_cast<std::size_t>(largest_inner));
  }

  void step() override {
    const StepScalars scalars = counter_.scalars();
    if (scalars.step < 1) throw Error("Muon: the step counter must be 1 at the first update");
    const float rate = scalars.learning_rate * (options_.learning_rate / counter_.rule().learning_rate);
    for (const MatrixOf& matrix : matrices_) {
      take_direction(matrix);
      orthogonalize(matrix.shape);
      const float factor = matrix.shape.rate_factor(options_.adjust_rate);
      in_parallel(std::ssize(matrix.values), [&](std::int64_t begin, std::int64_t end) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
          matrix.values[i] = muon_update(matrix.values[i], x_[i], rate, factor, options_.weight_decay);
        }
      });
    }
  }

 private:
  struct MatrixOf {
    MuonShape shape;
    std::span<float> values, gradients, momentum;
  };

  /// x = the momentum's direction divided by its norm.
  void take_direction(const MatrixOf& matrix) {
    const float factor = gradient_factor(clip_);
    double squares = 0.0;
    for (std::size_t i = 0; i < matrix.values.size(); ++i) {
      x_[i] = muon_direction(factor * matrix.gradients[i], matrix.momentum[i], options_.momentum,
                             options_.nesterov);
      squares += static_cast<double>(x_[i]) * x_[i];
    }
    const auto norm = static_cast<float>(std::sqrt(squares));
    const float scale = 1.0f / (norm < kMuonEpsilon ? kMuonEpsilon : norm);
    for (std::size_t i = 0; i < matrix.values.size(); ++i) x_[i] *= scale;
  }

  /// x = a x + (b G + c G G) x with G = x x^T, over and over; a tall matrix from its other side.
  void orthogonalize(const MuonShape& shape) {
    const std::int64_t r = shape.rows, c = shape.columns, n = shape.inner();
    const bool wide = shape.is_wide();
    for (std::int64_t step = 0; step < options_.steps; ++step) {
      multiply({!wide, wide, n, n, wide ? c : r, 1.0f, x_.data(), x_.data(), 0.0f, gram_.data()});
      std::memcpy(change_.data(), gram_.data(), static_cast<std::size_t>(n * n) * sizeof(float));
      multiply({false, false, n, n, n, kNewtonSchulzC, gram_.data(), gram_.data(), kNewtonSchulzB,
                change_.data()});
      std::memcpy(y_.data(), x_.data(), static_cast<std::size_t>(r * c) * sizeof(float));
      multiply({false, false, r, c, n, 1.0f, wide ? change_.data() : x_.data(),
                wide ? x_.data() : change_.data(), kNewtonSchulzA, y_.data()});
      x_.swap(y_);
    }
  }

  const StepCounter& counter_;
  const MuonOptions options_;
  const GradientClip* const clip_;
  std::shared_ptr<Buffer> momentum_;  // in the arena's order
  std::vector<MatrixOf> matrices_;
  std::vector<float> x_, y_, gram_, change_;  // of all matrices in turn
};

}  // namespace

std::unique_ptr<Optimizer> CpuBackend::make_muon(ParameterArena& parameters, const StepCounter& counter,
                                                 const MuonOptions& options, const UpdateRule& rule) {
  auto& arena = own<CpuParameters>("Muon: the parameters", parameters);
  check_muon(options, rule.groups, arena);
  if (arena.gradients().empty()) throw UsageError("Muon: the parameters were made without gradients");
  return std::make_unique<Muon>(arena, counter, options, rule);
}

}  // namespace convoy::cpu
