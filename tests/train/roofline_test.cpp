// What each pass of a training step computes and moves at least.
#include "engine/train/roofline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "engine/backend/reference/reference.h"
#include "engine/train/step.h"

namespace convoy {

void PrintTo(const Work& work, std::ostream* out) {
  *out << work.flops << " FLOPs, " << work.activations << " activations, " << work.other_bytes << " bytes";
}

bool operator==(const Work& a, const Work& b) {
  return a.flops == b.flops && a.activations == b.activations && a.other_bytes == b.other_bytes;
}

namespace {

/// By label: "layer1.0.fprop", "optimizer".
std::map<std::string, Work> step_work(const Model& model, std::int64_t batch,
                                      const OptimizerOptions& optimizer = AdamOptions{}) {
  const auto backend = make_reference_backend();
  TrainingState state(*backend, model, initial_state(model, 1), {.optimizer = optimizer});
  TrainingNetwork network(state, model, batch);
  Dataset one;
  one.image = model.input;
  one.classes = class_count(model);
  one.pixels.resize(static_cast<std::size_t>(model.input.count()));
  one.labels = {0};
  const auto dataset = backend->upload(one);
  const auto step = network.training_step(*dataset);
  std::map<std::string, Work> work;
  for (const StepPart& part : step->parts()) work[part.label()] = part.work;
  return work;
}

TEST(Roofline, OfTheConvNetIsWhatOneCountsByHand) {
  const auto work = step_work(builtin_model("convnet", {1, 28, 28}, 10), 2);
  // 1568 pixels, 25088 outputs of 25 products; the bias in front of the norm has no gradient.
  EXPECT_EQ(work.at("layer1.0.fprop"), (Work{1'254'400, 1568 + 400 + 25'088, 16 * 4}));
  EXPECT_EQ(work.at("layer1.0.bprop"), (Work{1'254'400, 1568 + 25'088, 400 * 4}));
  EXPECT_EQ(work.at("layer1.1.fprop"), (Work{0, 2 * 25'088, 32 * 4 + 32 * 8}));
  EXPECT_EQ(work.at("layer1.1.bprop"), (Work{0, 3 * 25'088, 32 * 4 + 16 * 4}));
  EXPECT_EQ(work.at("layer1.3.fprop"), (Work{0, 25'088 + 6272, 6272}));
  EXPECT_EQ(work.at("layer1.3.bprop"), (Work{0, 25'088 + 6272, 6272}));
  EXPECT_EQ(work.at("layer2.0.fprop"), (Work{10'035'200, 6272 + 12'800 + 12'544, 32 * 4}));
  EXPECT_EQ(work.at("layer2.0.bprop"), (Work{20'070'400, 12'544 + 6272 + 12'800 + 6272, 12'800 * 4}));
  EXPECT_EQ(work.at("fc.fprop"), (Work{62'720, 3136 + 15'680 + 20, 10 * 4}));
  EXPECT_EQ(work.at("fc.bprop"), (Work{125'440, 20 + 3136 + 15'680 + 3136, 15'690 * 4}));
  EXPECT_EQ(work.at("loss.fprop"), (Work{0, 2 * 20, 2 * 4}));
  EXPECT_EQ(work.at("loss.bprop"), Work{});
  EXPECT_EQ(work.at("batch"), (Work{0, 1568, 1568 + 2 * 9}));
  EXPECT_EQ(work.at("optimizer"), (Work{0, 0, 29'034 * 28}));
}

TEST(Roofline, OfAResidualCountsWhatBranchesAndSums) {
  const Model model{"residual",
                    {1, 4, 4},
                    {{"conv", Conv2d{1, 2}},
                     {"res", Residual{{{"0", Conv2d{2, 2}}, {"1", ReLU{}}}, {}}},
                     {"flatten", Flatten{}},
                     {"fc", Linear{32, 10}}}};
  const auto work = step_work(model, 1);
  EXPECT_EQ(work.at("res.fork.fprop"), Work{}) << "both branches are the input itself";
  EXPECT_EQ(work.at("res.fork.bprop"), (Work{0, 3 * 32, 0}));
  EXPECT_EQ(work.at("res.fprop"), (Work{0, 3 * 32, 0}));
  EXPECT_EQ(work.at("res.bprop"), (Work{0, 2 * 32, 0})) << "the first summand's gradient is the sum's";
  // The output tells what the ReLU let pass.
  EXPECT_EQ(work.at("res.0.bprop"), (Work{2 * 2 * 2 * 32, 32 + 32 + 32 + 4 + 32, 4 * 4 + 2 * 4}));
}

TEST(Roofline, HasTheFlopsOfTheSummary) {
  for (const std::string_view name : builtin_model_names()) {
    const Model model = builtin_model(std::string(name), {3, 32, 32}, 10);
    std::int64_t flops = 0;
    for (const LayerInfo& layer : infer(model, 3)) flops += layer.forward_flops + layer.backward_flops;
    std::int64_t counted = 0;
    for (const auto& [label, work] : step_work(model, 3)) counted += work.flops;
    EXPECT_EQ(counted, flops) << name;
  }
}

TEST(Roofline, OfAnOptimizerDependsOnWhatItRemembers) {
  const Model model = builtin_model("convnet", {1, 28, 28}, 10);
  EXPECT_EQ(step_work(model, 2, SgdOptions{}).at("optimizer").other_bytes, 29'034 * 12);
  EXPECT_EQ(step_work(model, 2, SgdOptions{.momentum = 0.9f}).at("optimizer").other_bytes, 29'034 * 20);
}

TEST(Roofline, IsTheLongerOfArithmeticAndMemory) {
  const DevicePeak peak{.gflops = 1000.0, .gigabytes_per_second = 100.0};
  const Work work{.flops = 3'000'000'000, .activations = 100'000'000, .other_bytes = 100'000'000};
  EXPECT_DOUBLE_EQ(roofline_ms(work, 4, peak), 5.0);
  EXPECT_DOUBLE_EQ(roofline_ms(work, 2, peak), 3.0);
  EXPECT_DOUBLE_EQ(roofline_ms(Work{}, 4, peak), 0.0);
}

TEST(Roofline, RefusesAnOperationThatItDoesNotKnow) {
  const NamedOperation unknown{.name = "a", .type = "Softmax", .operation = nullptr, .inputs = {}};
  for (const auto work : {forward_work, backward_work}) {
    try {
      work(unknown);
      FAIL();
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "engine/train/roofline.cpp does not know Softmax");
    }
  }
}

}  // namespace
}  // namespace convoy
