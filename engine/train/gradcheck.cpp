#include "engine/train/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "engine/backend/reference/reference.h"
#include "engine/core/philox.h"
#include "engine/core/random_streams.h"
#include "engine/train/gradient_tolerance.h"
#include "engine/train/network.h"

namespace convoy {
namespace {

constexpr std::uint64_t kSeed = 7;

// The step of a central difference in double: truncation grows as h^2, rounding as eps |f| / h.
constexpr double kStep = 1e-5;
constexpr double kDifferenceTolerance = 1e-6;
// Entries of one tensor that are differenced; larger tensors are sampled, the ConvNet's would take hours.
constexpr std::size_t kEntries = 48;

std::vector<double> uniform_values(std::int64_t count, std::uint32_t stream) {
  PhiloxSequence random({kSeed, stream});
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = random.uniform(-1.0, 1.0);
  return values;
}

// One case on one backend: a scalar objective of the input and the parameters, and its gradients.
class Differentiable {
 public:
  Differentiable(const GradcheckCase& c, Backend& backend)
      : backend_(backend),
        counter_(backend.make_counter()),
        metrics_(backend.make_metrics()),
        parameters_(backend, c.model, initial_state(c.model, kSeed)),
        input_(make_input(c)),
        network_(backend, c.model, parameters_, input_, {kSeed, counter_.get()}) {
    counter_->write(1);
    const Shape& shape = network_.output().value->shape();
    if (c.cross_entropy) {
      const TensorPtr labels = backend.make_tensor({c.batch}, DType::int32);
      std::vector<double> classes;
      for (std::int64_t i = 0; i < c.batch; ++i) classes.push_back(static_cast<double>(i % shape[1]));
      backend.write(*labels, classes);
      loss_ = backend.make_cross_entropy(network_.output(), labels, *metrics_);
    } else {
      cotangent_ = uniform_values(shape.count(), random_streams::kGradcheckCotangent);
    }
    backend.prepare();
  }

  double objective() {
    network_.forward(Phase::training);
    if (loss_) {
      loss_->forward(Phase::training);
      return metrics_->read().last_loss;
    }
    const std::vector<double> output = this->output();
    double sum = 0.0;
    for (std::size_t i = 0; i < output.size(); ++i) sum += cotangent_[i] * output[i];
    return sum;
  }

  // The gradients of what `objective` last computed, the input's first.
  StateDict gradients() {
    if (loss_) {
      loss_->backward();
    } else {
      backend_.write(*network_.output().grad, cotangent_);
    }
    network_.backward();
    StateDict all{{"input", {input_.value->shape(), backend_.read(*input_.grad)}}};
    for (auto& entry : parameters_.gradients()) all.push_back(std::move(entry));
    return all;
  }

  Tensor& tensor(const std::string& name) {
    return name == "input" ? *input_.value : *parameters_.at(name).value;
  }
  std::vector<double> output() const { return backend_.read(*network_.output().value); }
  Backend& backend() { return backend_; }

 private:
  Variable make_input(const GradcheckCase& c) {
    const Shape shape{c.batch, c.model.input[0], c.model.input[1], c.model.input[2]};
    Variable input{backend_.make_activation(shape), backend_.make_activation(shape)};
    backend_.write(*input.value, uniform_values(shape.count(), random_streams::kGradcheckInput));
    return input;
  }

  Backend& backend_;
  std::unique_ptr<StepCounter> counter_;
  std::unique_ptr<Metrics> metrics_;
  Parameters parameters_;
  Variable input_;
  Network network_;
  OperationPtr loss_;
  std::vector<double> cotangent_;
};

// The slopes left and right of a point, by which a kink (of ReLU, of a maximum) shows.
struct Slopes {
  double left = 0.0;
  double right = 0.0;
  double central() const { return (left + right) / 2; }
};

Slopes slopes_at(Differentiable& f, Tensor& tensor, std::vector<double>& values, std::size_t entry,
                 double here) {
  const double kept = values[entry];
  const auto objective_at = [&](double value) {
    values[entry] = value;
    f.backend().write(tensor, values);
    return f.objective();
  };
  const double right = objective_at(kept + kStep);
  const double left = objective_at(kept - kStep);
  values[entry] = kept;
  f.backend().write(tensor, values);
  return {(here - left) / kStep, (right - here) / kStep};
}

std::vector<std::size_t> entries_to_check(std::size_t count) {
  std::vector<std::size_t> entries;
  if (count <= kEntries) {
    for (std::size_t i = 0; i < count; ++i) entries.push_back(i);
    return entries;
  }
  PhiloxSequence random({kSeed, random_streams::kGradcheckChoice});
  for (std::size_t i = 0; i < kEntries; ++i) {
    entries.push_back(random.below(static_cast<std::uint32_t>(count)));
  }
  return entries;
}

}  // namespace

void GradcheckResult::keep_worst(const std::string& where, double another) {
  if (std::isnan(error) || (another <= error && !worst.empty())) return;
  error = another;
  worst = where;
}

GradcheckResult check_against_differences(const GradcheckCase& c) {
  const auto backend = make_double_reference_backend();
  Differentiable f(c, *backend);
  const double here = f.objective();
  const StateDict gradients = f.gradients();
  GradcheckResult result{c.name, "finite differences", "", 0.0, kDifferenceTolerance};

  // A difference cannot tell a slope from zero below eps |f| / h; a scale of that over the tolerance makes it
  // pass.
  const double resolution = 4 * backend->epsilon() * std::max(1.0, std::abs(here)) / kStep;
  std::size_t checked = 0;
  std::size_t kinks = 0;
  for (const auto& [name, gradient] : gradients) {
    const double scale = std::max(gradient_scale(gradients, name), resolution / kDifferenceTolerance);
    Tensor& tensor = f.tensor(name);
    std::vector<double> values = backend->read(tensor);
    for (const std::size_t entry : entries_to_check(values.size())) {
      const Slopes slopes = slopes_at(f, tensor, values, entry, here);
      ++checked;
      // Smooth: the two slopes differ by h f''. Across a kink they differ by the jump of the slope.
      if (std::abs(slopes.right - slopes.left) > 100 * kStep * scale) {
        ++kinks;
        continue;
      }
      result.keep_worst(name, std::abs(slopes.central() - gradient.values[entry]) / scale);
    }
  }
  if (kinks * 20 > checked) result.keep_worst("too many kinks", std::nan(""));  // then nothing was shown
  return result;
}

GradcheckResult check_against_reference(const GradcheckCase& c, Backend& backend) {
  const auto reference_backend = make_double_reference_backend();
  Differentiable reference(c, *reference_backend);
  Differentiable subject(c, backend);
  reference.objective();
  subject.objective();

  const double tolerance = gradient_tolerance(c.model, c.batch, backend.epsilon());
  GradcheckResult result{c.name, backend.name(), "", 0.0, tolerance};
  const auto compare = [&](const std::string& name, const std::vector<double>& actual,
                           const std::vector<double>& expected, double scale) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      result.keep_worst(name, std::abs(actual[i] - expected[i]) / scale);
    }
  };

  const std::vector<double> output = reference.output();
  compare("output", subject.output(), output, largest(output));
  const StateDict expected = reference.gradients();
  const StateDict actual = subject.gradients();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& [name, gradient] = expected[i];
    const double scale = gradient_scale(expected, name);
    compare(name, actual[i].second.values, gradient.values, scale);
    const bool matters = largest(gradient.values) > backend.epsilon() * scale;
    if (matters && largest(actual[i].second.values) == 0.0) result.keep_worst(name + " is missing", 1.0);
  }
  return result;
}

}  // namespace convoy
