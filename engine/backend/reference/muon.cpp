// Muon straight from torch.optim.Muon's documentation, in double: plain loops over matrices.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "convoy/error.h"
#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"

namespace convoy::reference {
namespace {

/// Row-major.
struct Matrix {
  std::size_t rows = 0, columns = 0;
  std::vector<double> values;

  Matrix(std::size_t row_count, std::size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count) {}
  double& at(std::size_t row, std::size_t column) { return values[row * columns + column]; }
  double at(std::size_t row, std::size_t column) const { return values[row * columns + column]; }
};

Matrix transposed(const Matrix& m) {
  Matrix result(m.columns, m.rows);
  for (std::size_t i = 0; i < m.rows; ++i) {
    for (std::size_t j = 0; j < m.columns; ++j) result.at(j, i) = m.at(i, j);
  }
  return result;
}

/// scale c + factor a b.
Matrix sum_of(double scale, const Matrix& c, double factor, const Matrix& a, const Matrix& b) {
  Matrix result(c.rows, c.columns);
  for (std::size_t i = 0; i < c.rows; ++i) {
    for (std::size_t j = 0; j < c.columns; ++j) {
      double sum = 0.0;
      for (std::size_t k = 0; k < a.columns; ++k) sum += a.at(i, k) * b.at(k, j);
      result.at(i, j) = scale * c.at(i, j) + factor * sum;
    }
  }
  return result;
}

/// Singular values to about 1. What has more rows than columns is iterated on its side.
Matrix orthogonalized(Matrix x, std::int64_t steps) {
  const bool tall = x.rows > x.columns;
  if (tall) x = transposed(x);
  double squares = 0.0;
  for (const double value : x.values) squares += value * value;
  const double norm = std::max(std::sqrt(squares), 1e-7);
  for (double& value : x.values) value /= norm;
  for (std::int64_t step = 0; step < steps; ++step) {
    const Matrix gram = sum_of(0.0, Matrix(x.rows, x.rows), 1.0, x, transposed(x));
    const Matrix change = sum_of(-4.7750, gram, 2.0315, gram, gram);
    x = sum_of(3.4445, x, 1.0, change, x);
  }
  return tall ? transposed(x) : x;
}

template <typename T>
class Muon final : public Optimizer {
 public:
  Muon(Arena<T>& arena, const StepCounter& counter, const MuonOptions& options, const UpdateRule& rule)
      : arena_(arena), counter_(counter), options_(options), clip_(rule.clip) {
    const auto memory = std::make_shared<std::vector<T>>(arena.values().size());
    state_ = {{"momentum_buffer", arena.tensors_over(memory)}};
    for (std::size_t i = 0; i < rule.groups.size(); ++i) {
      if (rule.groups[i] == ParameterGroup::orthogonalized) matrices_.push_back(i);
    }
  }

  void step() override {
    const double factor = clip_ ? as_real<T>("gradient clipping", clip_->result())->values()[1] : 1.0;
    const double rate = scheduled_rate(counter_) / counter_.rule().learning_rate * options_.learning_rate;
    for (const std::size_t i : matrices_) {
      const Variable& variable = arena_.variables()[i];
      update(as_real<T>("Muon", variable.value)->values(), as_real<T>("Muon", variable.grad)->values(),
             as_real<T>("Muon", state_[0].tensors[i])->values(), variable.value->shape(), rate, factor);
    }
  }

 private:
  void update(std::span<T> values, std::span<const T> gradients, std::span<T> buffer, const Shape& shape,
              double rate, double factor) {
    const auto rows = static_cast<std::size_t>(shape[0]);
    Matrix x(rows, values.size() / rows);
    const double momentum = options_.momentum;
    for (std::size_t k = 0; k < values.size(); ++k) {
      const double gradient = factor * gradients[k];
      const double moved = momentum * buffer[k] + (1.0 - momentum) * gradient;
      buffer[k] = static_cast<T>(moved);
      x.values[k] = options_.nesterov ? momentum * moved + (1.0 - momentum) * gradient : moved;
    }
    const double a = static_cast<double>(x.rows), b = static_cast<double>(x.columns);
    const double adjusted = options_.adjust_rate == MuonOptions::AdjustRate::original
                                ? rate * std::sqrt(std::max(1.0, a / b))
                                : rate * 0.2 * std::sqrt(std::max(a, b));
    const Matrix step = orthogonalized(std::move(x), options_.steps);
    for (std::size_t k = 0; k < values.size(); ++k) {
      values[k] =
          static_cast<T>(values[k] * (1.0 - rate * options_.weight_decay) - adjusted * step.values[k]);
    }
  }

  Arena<T>& arena_;
  const StepCounter& counter_;
  MuonOptions options_;
  const GradientClip* clip_;
  std::vector<std::size_t> matrices_;  // among the parameters
};

}  // namespace

template <typename T>
std::unique_ptr<Optimizer> ReferenceBackend<T>::make_muon(ParameterArena& parameters,
                                                          const StepCounter& counter,
                                                          const MuonOptions& options,
                                                          const UpdateRule& rule) {
  auto& arena = own<Arena<T>>("Muon: the parameters", parameters);
  check_muon(options, rule.groups, arena);
  if (!arena.with_gradients()) throw UsageError("Muon: the parameters were made without gradients");
  return std::make_unique<Muon<T>>(arena, counter, options, rule);
}

template std::unique_ptr<Optimizer> ReferenceBackend<float>::make_muon(ParameterArena&, const StepCounter&,
                                                                       const MuonOptions&, const UpdateRule&);
template std::unique_ptr<Optimizer> ReferenceBackend<double>::make_muon(ParameterArena&, const StepCounter&,
                                                                        const MuonOptions&,
                                                                        const UpdateRule&);

}  // namespace convoy::reference
