#include "convoy/state.h"

#include <gmock/gmock.h>

#include <cmath>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "engine/core/philox.h"
#include "engine/model/named_shapes.h"
#include "tests/model/models.h"

namespace convoy {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::Pair;
using testing::ThrowsMessage;

Model convnet() { return builtin_model("convnet", {1, 28, 28}, 10); }

TEST(TensorSpecs, OfTheConvNetAreWhatPyTorchHas) {
  std::vector<std::pair<std::string, std::string>> found;
  for (const TensorSpec& spec : tensor_specs(convnet())) found.emplace_back(spec.name, spec.shape.str());
  EXPECT_THAT(found, ElementsAre(Pair("layer1.0.weight", "[16, 1, 5, 5]"), Pair("layer1.0.bias", "[16]"),
                                 Pair("layer1.1.weight", "[16]"), Pair("layer1.1.bias", "[16]"),
                                 Pair("layer1.1.running_mean", "[16]"), Pair("layer1.1.running_var", "[16]"),
                                 Pair("layer1.1.num_batches_tracked", "[]"),
                                 Pair("layer2.0.weight", "[32, 16, 5, 5]"), Pair("layer2.0.bias", "[32]"),
                                 Pair("layer2.1.weight", "[32]"), Pair("layer2.1.bias", "[32]"),
                                 Pair("layer2.1.running_mean", "[32]"), Pair("layer2.1.running_var", "[32]"),
                                 Pair("layer2.1.num_batches_tracked", "[]"), Pair("fc.weight", "[10, 1568]"),
                                 Pair("fc.bias", "[10]")));
}

TEST(TensorSpecs, KnowRolesTypesAndFirstValues) {
  const auto specs = tensor_specs(convnet());
  EXPECT_EQ(specs[0].role, TensorRole::weight);
  EXPECT_EQ(specs[0].init_bound, 1.0 / 5.0);  // fan_in 1 x 5 x 5
  EXPECT_EQ(specs[1].role, TensorRole::bias);
  EXPECT_EQ(specs[1].init_bound, 1.0 / 5.0);
  EXPECT_EQ(specs[2].init_constant, 1.0);
  EXPECT_EQ(specs[3].init_constant, 0.0);
  EXPECT_EQ(specs[4].role, TensorRole::running_mean);
  EXPECT_EQ(specs[5].role, TensorRole::running_var);
  EXPECT_EQ(specs[5].init_constant, 1.0);
  EXPECT_EQ(specs[6].role, TensorRole::num_batches_tracked);
  EXPECT_EQ(specs[7].init_bound, 1.0 / 20.0);  // fan_in 16 x 5 x 5
  EXPECT_EQ(specs[14].init_bound, 1.0 / std::sqrt(1568.0));
  for (const TensorSpec& spec : specs) {
    const bool counter = spec.role == TensorRole::num_batches_tracked;
    EXPECT_EQ(spec.dtype, counter ? DType::int64 : DType::float32) << spec.name;
    EXPECT_EQ(spec.trainable(), spec.role == TensorRole::weight || spec.role == TensorRole::bias)
        << spec.name;
  }
}

TEST(TensorSpecs, GroupsResidualsAndMissingBiases) {
  Conv2d grouped{.in_channels = 4,
                 .out_channels = 6,
                 .kernel_size = {3, 1},
                 .padding = {1, 0},
                 .groups = 2,
                 .bias = false};
  Conv2d projection{.in_channels = 4, .out_channels = 6};
  const auto specs = tensor_specs(
      single({4, 5, 5}, Residual{.body = {{"conv", grouped}}, .shortcut = {{"downsample.0", projection}}}));
  ASSERT_EQ(specs.size(), 3u);
  EXPECT_EQ(specs[0].name, "layer.conv.weight");
  EXPECT_EQ(specs[0].shape, (Shape{6, 2, 3, 1}));
  EXPECT_EQ(specs[0].init_bound, 1.0 / std::sqrt(6.0));
  EXPECT_EQ(specs[1].name, "layer.downsample.0.weight");
  EXPECT_EQ(specs[1].shape, (Shape{6, 4, 1, 1}));
  EXPECT_EQ(specs[2].name, "layer.downsample.0.bias");
}

TEST(TensorSpecs, RefuseAModelThatDoesNotFit) {
  EXPECT_THROW(tensor_specs(single({1, 2, 2}, Conv2d{.in_channels = 1, .out_channels = 1, .groups = 0})),
               UsageError);
}

TEST(InitialState, IsUniformWithinItsBound) {
  const Model model = convnet();
  const StateDict state = initial_state(model, 1);
  const auto specs = tensor_specs(model);
  ASSERT_EQ(state.size(), specs.size());
  for (std::size_t k = 0; k < specs.size(); ++k) {
    SCOPED_TRACE(specs[k].name);
    const HostTensor& tensor = state[k].second;
    EXPECT_EQ(state[k].first, specs[k].name);
    EXPECT_EQ(tensor.shape, specs[k].shape);
    EXPECT_EQ(tensor.dtype, specs[k].dtype);
    if (specs[k].init_bound == 0.0) {
      EXPECT_THAT(tensor.values, Each(specs[k].init_constant));
      continue;
    }
    const double bound = static_cast<double>(static_cast<float>(specs[k].init_bound));
    double sum = 0.0;
    double largest = 0.0;
    for (const double value : tensor.values) {
      EXPECT_EQ(value, static_cast<double>(static_cast<float>(value)));  // a checkpoint keeps it exactly
      sum += value;
      largest = std::max(largest, std::abs(value));
    }
    const auto count = static_cast<double>(tensor.values.size());
    EXPECT_LE(largest, bound);
    // U(-b, b) has standard deviation b / sqrt(3), a mean of n draws that over sqrt(n); six of those.
    EXPECT_NEAR(sum / count, 0.0, 6.0 * bound / std::sqrt(3.0 * count));
    // The chance that all n draws stay under 1 - t is (1 - t)^n: with t = 20 / n, less than exp(-20).
    EXPECT_GE(largest, bound * (1.0 - 20.0 / count));
  }
}

TEST(InitialState, IsPhiloxByTensorAndSeed) {
  const StateDict state = initial_state(convnet(), 42);
  for (const std::size_t k : {0u, 1u, 7u, 14u}) {
    const double bound = tensor_specs(convnet())[k].init_bound;
    for (const std::size_t i : {0u, 1u, 9u}) {
      const RandomStream random{.seed = 42, .stream = static_cast<std::uint32_t>(k)};
      const double unit = static_cast<double>(uniform_at(random, 0, i));
      EXPECT_EQ(state[k].second.values[i],
                static_cast<double>(static_cast<float>(-bound + 2.0 * bound * unit)));
    }
  }
}

// Published seeds must keep giving the same weights: these values only change with the definition of the
// draws.
TEST(InitialState, FirstDrawsArePinned) {
  const StateDict state = initial_state(convnet(), 1);
  EXPECT_EQ(find(state, "layer1.0.weight")->values[0], 0x1.3fb3460000000p-3);
  EXPECT_EQ(find(state, "layer1.0.weight")->values[399], -0x1.9990f40000000p-5);
  EXPECT_EQ(find(state, "fc.bias")->values[9], 0x1.10ebce0000000p-8);
}

TEST(InitialState, DependsOnTheSeedAlone) {
  EXPECT_EQ(initial_state(convnet(), 3), initial_state(convnet(), 3));
  const StateDict three = initial_state(convnet(), 3);
  const StateDict four = initial_state(convnet(), 4);
  for (const char* name : {"layer1.0.weight", "layer1.0.bias", "fc.weight", "fc.bias"}) {
    EXPECT_NE(find(three, name)->values, find(four, name)->values) << name;
  }
}

TEST(CheckState, AcceptsAnyOrder) {
  StateDict state = initial_state(convnet(), 1);
  std::ranges::reverse(state);
  check_state(convnet(), state, "model.ckpt");
}

/// The state under other names.
template <typename Rename>
StateDict renamed(StateDict state, Rename rename) {
  for (auto& [name, tensor] : state) name = rename(name);
  return state;
}

TEST(MatchState, LeavesOutWhatWrappersPutIntoNames) {
  const StateDict state = initial_state(convnet(), 1);
  const struct {
    std::string before;  // in front of all names
    std::string inside;  // behind their first dot
    std::string told;
  } cases[] = {
      {"", "", ""},
      {"module.", "", "a.pt: 'module.' left out of the tensors' names"},
      {"_orig_mod.", "", "a.pt: '_orig_mod.' left out of the tensors' names"},
      {"module._orig_mod.", "", "a.pt: 'module._orig_mod.' left out of the tensors' names"},
      {"", "_orig_mod.", "a.pt: the parts 'module.' and '_orig_mod.' left out of the tensors' names"},
      {"model.", "", "a.pt: 'model.' left out of the tensors' names"},
      {"net.module.", "", "a.pt: 'net.module.' left out of the tensors' names"}};
  for (const auto& [before, inside, told] : cases) {
    SCOPED_TRACE(before + " " + inside);
    const StateDict wrapped = renamed(state, [&](const std::string& name) {
      const std::size_t behind = name.find('.') + 1;
      return before + name.substr(0, behind) + inside + name.substr(behind);
    });
    std::string said;
    EXPECT_EQ(match_state(convnet(), wrapped, "a.pt", [&](const std::string& line) { said = line; }), state);
    EXPECT_EQ(said, told);
  }
}

TEST(MatchState, LeavesALayerItsNameEvenIfItIsAWrappers) {
  const Model model{"m", {1, 2, 2}, {{"flat", Flatten{}}, {"module.fc", Linear{4, 2}}}};
  const StateDict state = initial_state(model, 1);
  EXPECT_EQ(match_state(model, state, "a.pt"), state);
  EXPECT_EQ(match_state(model, renamed(state, [](const std::string& name) { return "net." + name; }), "a.pt"),
            state);
}

TEST(MatchState, FillsInCountersAndDropsThatOfAnAveragedModel) {
  StateDict state = initial_state(convnet(), 1);
  std::erase_if(state, [](const auto& entry) { return entry.first.ends_with("num_batches_tracked"); });
  ASSERT_EQ(state.size(), 14u);
  state.emplace_back("n_averaged", zeros({}, DType::int64));
  const StateDict matched = match_state(convnet(), state, "a.pt");
  ASSERT_EQ(matched.size(), 16u);
  EXPECT_EQ(*find(matched, "layer2.1.num_batches_tracked"), zeros({}, DType::int64));
}

TEST(MatchState, RefusesWhatStaysAnotherModels) {
  StateDict state =
      renamed(initial_state(convnet(), 1), [](const std::string& name) { return "module." + name; });
  state[14].second = zeros({10, 800});
  EXPECT_THAT([&] { match_state(convnet(), state, "a.pt"); },
              ThrowsMessage<Error>(
                  "a.pt: 'fc.weight' is [10, 800], but [10, 1568] in model 'convnet'; is it the state "
                  "of another model?"));
  EXPECT_THROW(match_state(convnet(), {}, "a.pt"), Error);
}

// What match_state takes, but told by names and shapes alone, which may claim any size.
TEST(IsStateOf, GoesByNamesAndShapes) {
  std::vector<NamedShape> tensors;
  for (const TensorSpec& spec : tensor_specs(convnet())) {
    if (spec.role != TensorRole::num_batches_tracked) tensors.push_back({"module." + spec.name, spec.shape});
  }
  EXPECT_TRUE(is_state_of(convnet(), tensors));
  tensors.push_back({"n_averaged", Shape{}});
  EXPECT_TRUE(is_state_of(convnet(), tensors));
  const auto with = [&](std::size_t i, const NamedShape& other) {
    std::vector<NamedShape> changed = tensors;
    changed.at(i) = other;
    return is_state_of(convnet(), changed);
  };
  EXPECT_FALSE(with(0, {"module.layer1.0.weight", {std::int64_t{1} << 60, 1 << 20}}));
  EXPECT_FALSE(with(0, {"module.other", tensors[0].shape}));
  EXPECT_FALSE(with(0, tensors[1])) << "one is there twice, and one is missing";
  tensors.push_back({"module.more", Shape{}});
  EXPECT_FALSE(is_state_of(convnet(), tensors));
  EXPECT_FALSE(is_state_of(convnet(), {}));
}

TEST(CheckState, NamesWhatIsWrong) {
  const auto expect = [](const StateDict& state, const std::string& problem) {
    EXPECT_THAT([&] { check_state(convnet(), state, "a.ckpt"); },
                ThrowsMessage<Error>("a.ckpt: " + problem + "; is it the state of another model?"));
  };
  const StateDict good = initial_state(convnet(), 1);

  StateDict state = good;
  state.erase(state.begin() + 6);
  expect(state, "'layer1.1.num_batches_tracked' of model 'convnet' is missing");
  state = good;
  state.emplace_back("fc2.weight", zeros({1}));
  expect(state, "'fc2.weight' is not in model 'convnet'");
  state = good;
  state[14].second = zeros({10, 800});
  expect(state, "'fc.weight' is [10, 800], but [10, 1568] in model 'convnet'");
  state = good;
  state.push_back(good.front());
  expect(state, "'layer1.0.weight' appears twice");
  state = good;
  state[1].second.values.pop_back();
  expect(state, "'layer1.0.bias' holds 15 values for its shape [16]");
  expect({}, "'layer1.0.weight' of model 'convnet' is missing");
}

}  // namespace
}  // namespace convoy
