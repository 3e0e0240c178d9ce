#include "convoy/host_tensor.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

TEST(HostTensor, ZerosHaveTheShapesCount) {
  const HostTensor tensor = zeros({2, 3}, DType::int64);
  EXPECT_EQ(tensor.shape, (Shape{2, 3}));
  EXPECT_EQ(tensor.values, std::vector<double>(6, 0.0));
  EXPECT_EQ(tensor.dtype, DType::int64);
  EXPECT_EQ(zeros({}).values.size(), 1u);  // a scalar
  EXPECT_EQ(zeros({}).dtype, DType::float32);
}

TEST(HostTensor, EqualityIncludesShapeValuesAndType) {
  const HostTensor tensor{{2, 1}, {1.0, 2.0}, DType::float32};
  EXPECT_EQ(tensor, (HostTensor{{2, 1}, {1.0, 2.0}, DType::float32}));
  EXPECT_NE(tensor, (HostTensor{{1, 2}, {1.0, 2.0}, DType::float32}));
  EXPECT_NE(tensor, (HostTensor{{2, 1}, {1.0, 3.0}, DType::float32}));
  EXPECT_NE(tensor, (HostTensor{{2, 1}, {1.0, 2.0}, DType::int64}));
}

TEST(StateDict, FindsByWholeName) {
  const StateDict state = {{"fc.weight", zeros({2})}, {"fc.bias", zeros({1})}};
  EXPECT_EQ(find(state, "fc.bias"), &state[1].second);
  EXPECT_EQ(find(state, "fc"), nullptr);
  EXPECT_EQ(find({}, "fc.bias"), nullptr);
}

}  // namespace
}  // namespace convoy
