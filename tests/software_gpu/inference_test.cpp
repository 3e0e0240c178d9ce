// Inference on the software GPU: in every precision, and where cuDNN has no engine for what is fused.
#include "convoy/inference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "convoy/builtin.h"
#include "convoy/trainer.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/core/philox.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Dataset noise(std::int64_t count) {
  Dataset data{.name = "noise", .image = {1, 8, 8}, .classes = 2};
  PhiloxSequence random({7, 0});
  for (std::int64_t i = 0; i < count * 64; ++i)
    data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  for (std::int64_t i = 0; i < count; ++i) data.labels.push_back(static_cast<std::uint8_t>(i % 2));
  return data;
}

// Spacing of what products are made of. Two convolutions and a linear layer round factors and results to it,
// some ten times in a row altogether, in either direction.
double spacing(Precision precision) {
  if (precision == Precision::fp32) return 0x1p-23;
  return precision == Precision::tf32 ? 0x1p-10 : 0x1p-7;
}

TEST(SoftwareGpuInference, AnswersAsTheTrainerDoesInEveryPrecision) {
  const Dataset data = noise(23);
  const Model model = builtin_model("convnet", {1, 8, 8}, 2);
  const auto trained = make_cuda_backend({.precision = Precision::fp32});
  Trainer trainer(*trained, model, initial_state(model, 3), {.batch_size = 10, .epochs = 1});
  trainer.fit(data);
  const std::vector<double> expected = trainer.predict(data);
  const double largest = std::abs(
      *std::ranges::max_element(expected, [](double a, double b) { return std::abs(a) < std::abs(b); }));
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    SCOPED_TRACE(static_cast<int>(precision));
    std::vector<std::string> said;
    const auto backend = make_cuda_backend(
        {.precision = precision, .say = [&](const std::string& line, Remedy) { said.push_back(line); }});
    Inference inference(*backend, model, trainer.state(), 10);
    const std::vector<double> actual = inference.predict(data);
    ASSERT_EQ(actual.size(), expected.size());
    const double tolerance = 4 * std::sqrt(10.0) * spacing(precision) * largest;
    for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << i;
    EXPECT_NEAR(inference.evaluate(data).loss, trainer.evaluate(data).loss, 2 * tolerance);
    EXPECT_EQ(inference.predict(data), actual);
    EXPECT_TRUE(said.empty()) << said.front();
  }
}

// cuDNN takes no ReLU of one channel. What stands in works inside a CUDA graph, and is told of once.
TEST(SoftwareGpuInference, TakesAConvolutionApartWhereThereIsNoPlan) {
  std::vector<std::string> said;
  const auto backend =
      make_cuda_backend({.say = [&](const std::string& line, Remedy) { said.push_back(line); }});
  const Shape shapes[] = {{1, 1, 1, 1}, {1}};
  const auto arena = backend->make_parameters(shapes, /*with_gradients=*/false);
  const auto parameters = arena->variables();
  const Variable x{backend->make_activation({1, 1, 2, 2}), nullptr};
  backend->write(*parameters[0].value, std::vector<double>{2});
  backend->write(*parameters[1].value, std::vector<double>{-3});
  const OperationPtr conv = backend->make_conv2d({.in_channels = 1, .out_channels = 1}, /*fuse_relu=*/true, x,
                                                 parameters[0], parameters[1]);
  backend->prepare();
  const auto step = backend->record([&] { conv->forward(Phase::evaluation); });
  for (const double pixel : {1.0, 2.0, 3.0}) {
    backend->write(*x.value, std::vector<double>{0, pixel, 5, -pixel});
    step->run(1);
    EXPECT_THAT(backend->read(*conv->output().value), ElementsAre(0, std::max(2 * pixel - 3, 0.0), 7, 0));
  }
  ASSERT_EQ(said.size(), 1u);
  EXPECT_THAT(said[0], HasSubstr("no plan for a convolution of [1, 1, 2, 2] with bias and ReLU"));
  EXPECT_TRUE(step->cuda_graph().has_value());
  const std::vector<PlanRow> rows = backend->plans();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].realisation, Realisation::own_kernel);
  EXPECT_EQ(rows[0].realised_by, "own kernel: bias and ReLU, behind the convolution alone");
  EXPECT_EQ(rows[1].realisation, Realisation::planned) << "the convolution alone";
  EXPECT_THAT(rows[1].operation, HasSubstr("conv2d.fprop of [1, 1, 2, 2]"));
}

}  // namespace
}  // namespace convoy
