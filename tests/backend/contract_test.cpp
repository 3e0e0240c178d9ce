// What every backend promises beside its arithmetic: memory, gradients, replays, reproducible bits.
#include <gtest/gtest.h>

#include <limits>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

class ContractTest : public BackendTest {};

TEST_P(ContractTest, NewTensorsAreZero) {
  EXPECT_THAT(backend().read(*backend().make_activation({3, 17, 5, 3})), Exactly(Values(765, 0.0)));
  EXPECT_THAT(backend().read(*backend().make_tensor({5}, DType::int32)), Exactly(Values(5, 0.0)));
  const std::vector<Shape> shapes = {{33, 17, 3, 3}, {33}};
  const auto arena = backend().make_parameters(shapes, true);
  for (const Variable& variable : arena->variables()) {
    EXPECT_THAT(backend().read(*variable.value), Each(0.0));
    EXPECT_THAT(backend().read(*variable.grad), Each(0.0));
  }
}

TEST_P(ContractTest, ReadsWhatWasWrittenInRowMajorOrder) {
  for (const Shape& shape :
       {Shape{}, Shape{1}, Shape{33}, Shape{3, 17}, Shape{2, 3, 5, 7}, Shape{2, 33, 3, 1}}) {
    SCOPED_TRACE(shape.str());
    const HostTensor values = normals(shape, 1);
    EXPECT_THAT(backend().read(*place(backend(), values, false).value), Exactly(values.values));
  }
  const HostTensor labels = random_labels(17, 256, 1);
  EXPECT_THAT(backend().read(*place(backend(), labels, false).value), Exactly(labels.values));
}

TEST_P(ContractTest, ParametersKeepApartFromTheirNeighbours) {
  const std::vector<HostTensor> values = {normals({17, 3, 3, 3}, 1), normals({17}, 2),
                                          normals({10, 5, 2, 2}, 3), normals({1}, 4), normals({3, 7}, 5)};
  const auto arena = place_parameters(backend(), values);
  ASSERT_EQ(arena->variables().size(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Variable& variable = arena->variables()[i];
    EXPECT_EQ(variable.value->shape(), values[i].shape);
    EXPECT_EQ(variable.grad->shape(), values[i].shape);
    EXPECT_THAT(backend().read(*variable.value), Exactly(values[i].values)) << i;
  }
}

TEST_P(ContractTest, ParametersWithoutGradientsHaveNone) {
  const auto arena = place_parameters(backend(), {zeros({3, 4}), zeros({3})}, false);
  for (const Variable& variable : arena->variables()) EXPECT_EQ(variable.grad, nullptr);
}

TEST_P(ContractTest, FlattenIsAViewInRowMajorOrder) {
  for (const Shape& shape : {Shape{2, 3, 5, 7}, Shape{2, 17, 1, 1}, Shape{3, 1, 4, 2}, Shape{3, 16, 2, 3}}) {
    SCOPED_TRACE(shape.str());
    const HostTensor values = normals(shape, 1), others = normals(shape, 2);
    const Variable images = place(backend(), values);
    const Variable rows = backend().flatten(images);
    EXPECT_EQ(rows.value->shape(), (Shape{shape[0], shape.count() / shape[0]}));
    EXPECT_EQ(rows.grad->shape(), rows.value->shape());
    EXPECT_THAT(backend().read(*rows.value), Exactly(values.values));
    backend().write(*rows.value, others.values);
    backend().write(*rows.grad, values.values);
    EXPECT_THAT(backend().read(*images.value), Exactly(others.values)) << "over the same memory";
    EXPECT_THAT(backend().read(*images.grad), Exactly(values.values));
    const Variable again = backend().flatten(rows);
    EXPECT_EQ(again.value, rows.value) << "what is flat stays as it is";
    EXPECT_EQ(again.grad, rows.grad);
  }
  EXPECT_EQ(backend().flatten(place(backend(), zeros({2, 3, 4, 5}), false)).grad, nullptr);
  EXPECT_THAT(usage_error([&] { backend().flatten(place(backend(), zeros({5}))); }),
              AllOf(HasSubstr("Flatten"), HasSubstr("[5]")));
}

TEST_P(ContractTest, RefusesToWriteAnotherNumberOfElements) {
  const TensorPtr tensor = backend().make_activation({2, 3});
  EXPECT_THAT(usage_error([&] { backend().write(*tensor, Values(5)); }),
              AllOf(HasSubstr("[2, 3]"), HasSubstr("5")));
}

TEST_P(ContractTest, TheCounterCounts) {
  const auto counter = backend().make_counter();
  EXPECT_EQ(counter->read(), 0);
  counter->advance();
  counter->advance();
  EXPECT_EQ(counter->read(), 2);
  const StepScalars second = counter->scalars();
  counter->advance();
  counter->write(2);
  EXPECT_EQ(counter->scalars(), second) << "what belongs to the step comes with it";
  counter->write(std::int64_t{1} << 40);
  counter->advance();
  EXPECT_EQ(counter->read(), (std::int64_t{1} << 40) + 1);
}

TEST_P(ContractTest, ARecordedSequenceRunsAsOftenAsAsked) {
  const auto counter = backend().make_counter();
  const Variable x = place(backend(), {{2, 3}, Values(6, 1.0)});
  const OperationPtr relu = backend().make_relu(x);
  const auto replay = backend().record([&] {
    counter->advance();
    relu->forward(Phase::training);
  });
  std::int64_t expected = 0;
  for (const std::int64_t times : {1, 0, 2, 1, 45}) {  // the last is several large graphs and single ones
    replay->run(times);
    expected += times;
  }
  backend().synchronize();
  EXPECT_EQ(counter->read(), expected);
  EXPECT_THAT(backend().read(*relu->output().value), Exactly(Values(6, 1.0)));

  backend().write(*x.value, Values(6, 2.0));  // replays read what the tensors hold now
  replay->run(1);
  EXPECT_THAT(backend().read(*relu->output().value), Exactly(Values(6, 2.0)));
}

// One operation of every kind with parameters, and one without, for the rules about gradients.
OperationPtr make_layer(Backend& backend, const std::string& type, const Variable& x, ParameterArena& arena) {
  const auto p = arena.variables();
  if (type == "conv") return backend.make_conv2d({.in_channels = 3, .out_channels = 3}, false, x, p[0], p[1]);
  if (type == "linear")
    return backend.make_linear({.in_features = 12, .out_features = 3}, backend.flatten(x), p[2], p[1]);
  if (type == "bn") {
    HostTensor one{{3}, {1, 1, 1}};
    return backend.make_batch_norm(
        {.num_features = 3}, true, x,
        {p[3], p[1], place(backend, zeros({3}), false).value, place(backend, one, false).value});
  }
  if (type == "max") return backend.make_max_pool({}, x);
  if (type == "avg") return backend.make_avg_pool({}, x);
  return backend.make_relu(x);
}

std::vector<HostTensor> layer_parameters() {
  return {normals({3, 3, 1, 1}, 1), normals({3}, 2), normals({3, 12}, 3), normals({3}, 4)};
}

const char* const kWithParameters[] = {"conv", "linear", "bn"};
const char* const kWithout[] = {"max", "avg", "relu"};

TEST_P(ContractTest, OutputsHaveGradientsIffAnythingInFrontHas) {
  const auto trained = place_parameters(backend(), layer_parameters(), true);
  const auto frozen = place_parameters(backend(), layer_parameters(), false);
  const Variable with = place(backend(), normals({2, 3, 2, 2}, 5)), without{with.value, nullptr};
  for (const char* type : kWithParameters) {
    SCOPED_TRACE(type);
    EXPECT_NE(make_layer(backend(), type, with, *trained)->output().grad, nullptr);
    EXPECT_NE(make_layer(backend(), type, without, *trained)->output().grad, nullptr);
    EXPECT_NE(make_layer(backend(), type, with, *frozen)->output().grad, nullptr);
    EXPECT_EQ(make_layer(backend(), type, without, *frozen)->output().grad, nullptr);
  }
  for (const char* type : kWithout) {
    SCOPED_TRACE(type);
    EXPECT_NE(make_layer(backend(), type, with, *trained)->output().grad, nullptr);
    EXPECT_EQ(make_layer(backend(), type, without, *trained)->output().grad, nullptr);
  }
  EXPECT_NE(backend().make_add(with, without)->output().grad, nullptr);
  EXPECT_NE(backend().make_add(without, with)->output().grad, nullptr);
  EXPECT_EQ(backend().make_add(without, without)->output().grad, nullptr);
  EXPECT_NE(backend().make_fork(with)->second().grad, nullptr);
  EXPECT_EQ(backend().make_fork(without)->second().grad, nullptr);
  const auto counter = backend().make_counter();
  EXPECT_NE(backend().make_dropout({}, with, {}, *counter)->output().grad, nullptr);
  EXPECT_EQ(backend().make_dropout({}, without, {}, *counter)->output().grad, nullptr);
}

TEST_P(ContractTest, OperationsWithoutGradientsRunBackwardAsNothing) {
  const auto frozen = place_parameters(backend(), layer_parameters(), false);
  const Variable x = place(backend(), normals({2, 3, 2, 2}, 5), false);
  for (const char* type : {"conv", "linear", "bn", "max", "avg", "relu"}) {
    SCOPED_TRACE(type);
    const OperationPtr operation = make_layer(backend(), type, x, *frozen);
    backend().prepare();
    operation->forward(Phase::training);
    const Values output = backend().read(*operation->output().value);
    EXPECT_NO_THROW(operation->backward());
    EXPECT_THAT(backend().read(*operation->output().value), Exactly(output));
  }
  const auto metrics = backend().make_metrics();
  const TensorPtr labels = backend().make_tensor({2}, DType::int32);
  const Variable logits = place(backend(), zeros({2, 3}), false);
  const OperationPtr loss = backend().make_cross_entropy(logits, labels, *metrics);
  loss->forward(Phase::training);
  EXPECT_NO_THROW(loss->backward());
}

// The first layer has no one to pass a gradient to, and its parameters must not notice.
TEST_P(ContractTest, ParameterGradientsDoNotDependOnTheInputs) {
  for (const char* type : kWithParameters) {
    SCOPED_TRACE(type);
    std::vector<std::vector<Values>> gradients;
    for (const bool with_grad : {true, false}) {
      const auto arena = place_parameters(backend(), layer_parameters());
      const OperationPtr operation =
          make_layer(backend(), type, place(backend(), normals({2, 3, 2, 2}, 5), with_grad), *arena);
      backend().prepare();
      operation->forward(Phase::training);
      backend().write(*operation->output().grad, normals(operation->output().value->shape(), 6).values);
      operation->backward();
      gradients.emplace_back();
      for (const Variable& variable : arena->variables())
        gradients.back().push_back(backend().read(*variable.grad));
    }
    for (std::size_t i = 0; i < gradients[0].size(); ++i)
      EXPECT_THAT(gradients[1][i], Exactly(gradients[0][i]));
  }
}

TEST_P(ContractTest, InputGradientsDoNotDependOnTheParameters) {
  for (const char* type : kWithParameters) {
    SCOPED_TRACE(type);
    std::vector<Values> gradients;
    for (const bool trained : {true, false}) {
      const auto arena = place_parameters(backend(), layer_parameters(), trained);
      const Variable x = place(backend(), normals({2, 3, 2, 2}, 5));
      const OperationPtr operation = make_layer(backend(), type, x, *arena);
      backend().prepare();
      operation->forward(Phase::training);
      backend().write(*operation->output().grad, normals(operation->output().value->shape(), 6).values);
      operation->backward();
      gradients.push_back(backend().read(*x.grad));
    }
    EXPECT_THAT(gradients[1], Exactly(gradients[0]));
  }
}

TEST_P(ContractTest, AddSkipsTheGradientNobodyNeeds) {
  const Variable a = place(backend(), zeros({2, 3}), false), b = place(backend(), zeros({2, 3}));
  const OperationPtr add = backend().make_add(a, b);
  add->forward(Phase::training);
  backend().write(*add->output().grad, Values(6, 2.0));
  add->backward();
  EXPECT_THAT(backend().read(*b.grad), Exactly(Values(6, 2.0)));
}

// `place` fills gradients with NaN, so a backend that adds to them fails everywhere; this is the second run.
TEST_P(ContractTest, RerunsGiveTheSameBits) {
  for (const char* type : {"conv", "linear", "bn", "max", "avg", "relu"}) {
    SCOPED_TRACE(type);
    const auto arena = place_parameters(backend(), layer_parameters());
    const Variable x = place(backend(), normals({4, 3, 2, 2}, 5));
    const OperationPtr operation = make_layer(backend(), type, x, *arena);
    backend().prepare();
    const auto run = [&] {
      operation->forward(Phase::training);
      backend().write(*operation->output().grad, normals(operation->output().value->shape(), 6).values);
      operation->backward();
      std::vector<Values> results = {backend().read(*operation->output().value), backend().read(*x.grad)};
      for (const Variable& variable : arena->variables()) results.push_back(backend().read(*variable.grad));
      return results;
    };
    const auto first = run(), second = run();
    for (std::size_t i = 0; i < first.size(); ++i)
      EXPECT_THAT(second[i], Exactly(first[i])) << "tensor " << i;
  }
}

TEST_P(ContractTest, SumsPassANanOn) {
  const auto arena = place_parameters(backend(), layer_parameters());
  const Variable x = place(backend(), {{2, 3, 2, 2}, Values(24, std::numeric_limits<double>::quiet_NaN())});
  for (const char* type : {"conv", "linear", "avg"}) {
    SCOPED_TRACE(type);
    const OperationPtr operation = make_layer(backend(), type, x, *arena);
    backend().prepare();
    operation->forward(Phase::evaluation);
    EXPECT_THAT(backend().read(*operation->output().value), Each(testing::IsNan()));
  }
}

TEST_P(ContractTest, RefusesTensorsThatAreNotItsOwn) {
  struct Foreign final : Tensor {
    using Tensor::Tensor;
  };
  const TensorPtr foreign = std::make_shared<Foreign>(Shape{2, 3});
  EXPECT_THROW(backend().make_relu({foreign, nullptr}), UsageError);
  EXPECT_THROW(backend().read(*foreign), UsageError);
  EXPECT_THROW(backend().write(*foreign, Values(6)), UsageError);
}

TEST_P(ContractTest, RefusesAGradientOfAnotherShape) {
  const Variable x{backend().make_activation({2, 3}), backend().make_activation({3, 2})};
  EXPECT_THAT(usage_error([&] { backend().make_relu(x); }), AllOf(HasSubstr("[2, 3]"), HasSubstr("[3, 2]")));
}

INSTANTIATE_TEST_SUITE_P(, ContractTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
