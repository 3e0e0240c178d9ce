// Files that PyTorch wrote (make_golden.py): what it really emits, in the oldest and the newest version at
// hand.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "convoy/checkpoint.h"
#include "tests/io/convnet_state.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Golden : public testing::TestWithParam<const char*> {
 protected:
  static std::filesystem::path file(std::string_view name) {
    return std::filesystem::path(IO_GOLDEN_FOLDER) /
           (std::string(GetParam()) + "-" + std::string(name) + ".ckpt");
  }

  static std::string error_of_golden(std::string_view name) {
    return error_of([&] { load_checkpoint(file(name)); });
  }
};

TEST_P(Golden, StateDictOfAModule) {
  StateDict expected = {{"conv.weight", ramp({2, 1, 3, 3}, 0)},
                        {"conv.bias", ramp({2}, 1)},
                        {"bn.weight", ramp({2}, 2)},
                        {"bn.bias", ramp({2}, 3)},
                        {"bn.running_mean", ramp({2}, 4)},
                        {"bn.running_var", ramp({2}, 5)},
                        {"bn.num_batches_tracked", {Shape{}, {606.0}, DType::int64}},
                        {"fc.weight", ramp({3, 2}, 7)},
                        {"fc.bias", ramp({3}, 8)}};
  EXPECT_EQ(load_checkpoint(file("module")), expected);
  std::erase_if(expected, [](const auto& entry) {
    return entry.first.starts_with("bn.running") || entry.first == "bn.num_batches_tracked";
  });
  EXPECT_EQ(load_checkpoint(file("parameters")), expected);
}

TEST_P(Golden, TrainingCheckpoint) {
  std::string told;
  EXPECT_EQ(load_checkpoint(file("training"), [&](const std::string& line) { told = line; }),
            load_checkpoint(file("module")));
  EXPECT_EQ(told, file("training").string() + ": its state dict is the one under \"model\"");
}

HostTensor divided(HostTensor tensor, double divisor) {
  for (double& value : tensor.values) value /= divisor;
  return tensor;
}

TEST_P(Golden, EveryType) {
  const StateDict state = load_checkpoint(file("types"));
  ASSERT_EQ(state.size(), 7U);
  EXPECT_EQ(*find(state, "half"), ramp({2, 3}, 0));
  EXPECT_EQ(*find(state, "bfloat16"), ramp({2, 3}, 1));
  EXPECT_EQ(*find(state, "double"), divided(ramp({2, 3}, 2), 3.0));  // more digits than a float has
  EXPECT_EQ(*find(state, "int32"), (HostTensor{Shape{4}, {-0x1p31, -1, 0, 0x1p31 - 1}, DType::int32}));
  EXPECT_EQ(*find(state, "int64"), (HostTensor{Shape{4}, {-0x1p53, -1, 0, 0x1p53}, DType::int64}));

  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const char* name : {"half_special", "bfloat16_special"}) {
    const std::vector<double>& values = find(state, name)->values;
    EXPECT_THAT(std::vector<double>(values.begin(), values.begin() + 4),
                ElementsAre(0.0, -0.0, kInfinity, -kInfinity));
    EXPECT_FALSE(std::signbit(values[0]));
    EXPECT_TRUE(std::signbit(values[1]));
    EXPECT_TRUE(std::isnan(values[4]));
    EXPECT_EQ(values[5], 0x1p-24);  // the smallest half, denormal
    EXPECT_EQ(values[6], -0x1p-14);
  }
  EXPECT_EQ(find(state, "half_special")->values[7], 0x1.55p-2);  // 0.333 with 11 and with 8 bits
  EXPECT_EQ(find(state, "bfloat16_special")->values[7], 0x1.54p-2);
}

TEST_P(Golden, ViewsOfOneStorage) {
  const std::vector<double> base = ramp({12}, 0).values;
  const auto tensor = [&](Shape shape, std::initializer_list<std::size_t> indices) {
    HostTensor out{std::move(shape), {}};
    for (const std::size_t i : indices) out.values.push_back(base[i]);
    return out;
  };
  const StateDict expected = {{"matrix", tensor({3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})},
                              {"transposed", tensor({4, 3}, {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11})},
                              {"tail", tensor({4}, {8, 9, 10, 11})},
                              {"column", tensor({3}, {1, 5, 9})},
                              {"scalar", tensor({}, {5})},
                              {"empty", tensor({0}, {})}};
  EXPECT_EQ(load_checkpoint(file("views")), expected);
}

TEST_P(Golden, TheFormatOfBefore) {
  EXPECT_EQ(load_checkpoint(file("legacy")), (StateDict{{"x", ramp({2}, 0)}}));
}

TEST_P(Golden, RefusalsSayWhatToDo) {
  EXPECT_THAT(error_of_golden("expanded"), HasSubstr("save it .contiguous()"));
  EXPECT_THAT(error_of_golden("bytes"), HasSubstr("tensors of type \"ByteStorage\" are not supported"));
  EXPECT_THAT(error_of_golden("protocol4"), HasSubstr("pickle protocol 4, not 2"));
}

INSTANTIATE_TEST_SUITE_P(PyTorch, Golden, testing::Values("torch-1.13", "torch-2.15"),
                         [](const auto& tested) {
                           return std::string(tested.param) == "torch-1.13" ? "1_13" : "2_15";
                         });

}  // namespace
}  // namespace convoy
