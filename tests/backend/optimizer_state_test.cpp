// What a training keeps beside its parameters on every backend: the optimizers' tensors and the average.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "convoy/error.h"
#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class OptimizerStateTest : public BackendTest {
 protected:
  Values read(const TensorPtr& tensor) { return backend().read(*tensor); }
};

struct Training {
  std::unique_ptr<ParameterArena> arena;
  std::unique_ptr<StepCounter> counter;
  std::unique_ptr<Optimizer> optimizer;

  Training(Backend& backend, const std::vector<HostTensor>& parameters, const OptimizerOptions& options)
      : arena(place_parameters(backend, parameters)),
        counter(backend.make_counter(step_rule(options))),
        optimizer(backend.make_optimizer(*arena, *counter, options)) {}

  void step(Backend& backend, const std::vector<HostTensor>& gradients) {
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      backend.write(*arena->variables()[i].grad, gradients[i].values);
    }
    counter->advance();
    optimizer->step();
  }
};

std::vector<std::string> names_of(const Optimizer& optimizer) {
  std::vector<std::string> names;
  for (const OptimizerState& kept : optimizer.state()) names.push_back(kept.name);
  return names;
}

TEST_P(OptimizerStateTest, HasPyTorchsNamesAndTheParametersShapes) {
  const std::vector<HostTensor> parameters = {zeros({2, 3, 2, 2}), zeros({3})};
  const auto made = [&](const OptimizerOptions& options) { return Training(backend(), parameters, options); };
  const Training adam = made(AdamOptions{.decoupled_weight_decay = true});
  EXPECT_THAT(names_of(*adam.optimizer), ElementsAre("exp_avg", "exp_avg_sq"));
  for (const OptimizerState& kept : adam.optimizer->state()) {
    ASSERT_EQ(kept.tensors.size(), 2u);
    EXPECT_EQ(kept.tensors[0]->shape(), (Shape{2, 3, 2, 2}));
    EXPECT_EQ(kept.tensors[1]->shape(), (Shape{3}));
  }
  EXPECT_THAT(names_of(*made(SgdOptions{.momentum = 0.5f}).optimizer), ElementsAre("momentum_buffer"));
  EXPECT_THAT(names_of(*made(SgdOptions{}).optimizer), ElementsAre());
}

// Element by element: the state's memory order is the parameter's, whatever that is.
TEST_P(OptimizerStateTest, IsWhatTheFirstStepLeavesByHand) {
  const HostTensor gradient = small_integers({2, 3, 2, 2}, 8, 1);
  const AdamOptions options{.beta1 = 0.5f, .beta2 = 0.75f};
  Training adam(backend(), {zeros({5}), zeros({2, 3, 2, 2})}, options);
  adam.step(backend(), {zeros({5}), gradient});
  Values first, second;
  for (const double g : gradient.values) {
    first.push_back(g / 2);
    second.push_back(g * g / 4);
  }
  EXPECT_THAT(read(adam.optimizer->state()[0].tensors[1]), Exactly(first));
  EXPECT_THAT(read(adam.optimizer->state()[1].tensors[1]), Exactly(second));

  Training sgd(backend(), {zeros({2, 3, 2, 2})}, SgdOptions{.momentum = 0.5f});
  sgd.step(backend(), {gradient});
  sgd.step(backend(), {gradient});
  Values buffer;
  for (const double g : gradient.values) buffer.push_back(1.5 * g);
  EXPECT_THAT(read(sgd.optimizer->state()[0].tensors[0]), Exactly(buffer));
}

// Parameters, the state and the counter are all that the next step follows from.
TEST_P(OptimizerStateTest, GoesOnWhereAnotherWas) {
  const OptimizerOptions all[] = {AdamOptions{.weight_decay = 0.1f},
                                  AdamOptions{.weight_decay = 0.1f, .decoupled_weight_decay = true},
                                  SgdOptions{.momentum = 0.9f, .nesterov = true}, SgdOptions{}};
  const Shape shape{3, 2, 3, 3};
  for (const OptimizerOptions& options : all) {
    Training from(backend(), {normals(shape, 1)}, options);
    for (std::uint64_t i = 0; i < 3; ++i) from.step(backend(), {normals(shape, 10 + i)});

    Training to(backend(), {zeros(shape)}, options);
    backend().write(*to.arena->variables()[0].value, read(from.arena->variables()[0].value));
    to.counter->write(from.counter->read());
    for (std::size_t i = 0; i < from.optimizer->state().size(); ++i) {
      const TensorPtr& tensor = to.optimizer->state()[i].tensors[0];
      backend().write(*tensor, read(from.optimizer->state()[i].tensors[0]));
    }
    from.step(backend(), {normals(shape, 20)});
    to.step(backend(), {normals(shape, 20)});
    EXPECT_EQ(read(to.arena->variables()[0].value), read(from.arena->variables()[0].value));
  }
}

TEST_P(OptimizerStateTest, AnAverageIsTheMeanOfWhatWasAdded) {
  const Shape shape{2, 3, 2, 2};
  const auto arena = place_parameters(backend(), {zeros(shape), zeros({1})});
  const auto average = backend().make_average(*arena);
  Tensor& parameter = *arena->variables()[0].value;
  EXPECT_THROW(average->store(), Error) << "there is no mean of nothing";
  const HostTensor first = small_integers(shape, 8, 1), second = small_integers(shape, 8, 2);
  Values mean;
  for (std::size_t i = 0; i < first.values.size(); ++i)
    mean.push_back((first.values[i] + second.values[i]) / 2);
  for (int round = 0; round < 2; ++round) {
    backend().write(parameter, first.values);
    average->add();
    EXPECT_THAT(read(average->means()[0]), Exactly(first.values)) << "nothing of an earlier mean is left";
    backend().write(parameter, second.values);
    average->add();
    EXPECT_EQ(average->count(), 2);
    EXPECT_THAT(backend().read(parameter), Exactly(second.values)) << "adding changes no parameter";
    average->store();
    EXPECT_THAT(backend().read(parameter), Exactly(mean));
    average->set_count(0);
  }
}

// An average in fp32 of ten values of about 1 errs by less than five roundings of it.
TEST_P(OptimizerStateTest, AnAverageGoesOnWhereAnotherWas) {
  const Shape shape{7};
  const auto arena = place_parameters(backend(), {zeros(shape)});
  const auto whole = backend().make_average(*arena);
  const auto begun = backend().make_average(*arena);
  const auto resumed = backend().make_average(*arena);
  Values expected(7, 0.0);
  for (std::uint64_t i = 0; i < 10; ++i) {
    const HostTensor values = normals(shape, 30 + i, 1.0, 0.01);
    backend().write(*arena->variables()[0].value, values.values);
    for (std::size_t k = 0; k < 7; ++k) {
      expected[k] += backend().read(*arena->variables()[0].value)[k] / 10;
    }
    whole->add();
    if (i < 4) {
      begun->add();
      continue;
    }
    if (i == 4) {
      backend().write(*resumed->means()[0], read(begun->means()[0]));
      resumed->set_count(begun->count());
    }
    resumed->add();
  }
  EXPECT_EQ(read(resumed->means()[0]), read(whole->means()[0]));
  EXPECT_THAT(read(whole->means()[0]), RelativelyNear(expected, 5 * backend().epsilon()));
}

TEST_P(OptimizerStateTest, MetricsGoOnFromWhatWasRead) {
  const auto metrics = backend().make_metrics();
  const MetricsReading reading{.last_loss = 0.5, .loss_sum = 12.25, .correct = 7, .samples = 9};
  metrics->write(reading);
  EXPECT_EQ(metrics->read(), reading);
  const Variable logits = place(backend(), {{1, 2}, {1, 1}});
  const TensorPtr labels = backend().make_tensor({1}, DType::int32);
  backend().make_cross_entropy(logits, labels, *metrics)->forward(Phase::training);
  EXPECT_EQ(metrics->read().samples, 10);
  EXPECT_NEAR(metrics->read().loss_sum, 12.25 + std::log(2.0), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(, OptimizerStateTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
