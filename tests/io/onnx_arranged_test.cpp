// Weights that a node in front of the layer arranges anew.
#include <gmock/gmock.h>

#include "tests/io/onnx_file.h"

namespace convoy::test {
namespace {

class OnnxArranged : public OnnxFile {
 protected:
  /// The weight has the elements 0 to 7; a MatMul takes `name`, which an `operation` in front makes of it.
  NodeProto& arrange(const std::string& operation) {
    TensorProto& weight = *graph().mutable_initializer(1);
    for (int i = 0; i < 8; ++i) weight.set_float_data(i, static_cast<float>(i));
    NodeProto& added = node(operation, "arrange", {"w"}, "arranged");
    for (int i = 3; i > 0; --i) graph().mutable_node()->SwapElements(i, i - 1);
    fc_->set_op_type("MatMul");
    fc_->clear_attribute();
    fc_->set_input(1, "arranged");
    return added;
  }

  TensorProto& sizes(const std::vector<std::int64_t>& values) {
    TensorProto& list = tensor("sizes", {});
    list.set_data_type(TensorProto::INT64);
    list.clear_float_data();
    list.add_dims(std::ssize(values));
    for (const std::int64_t value : values) list.add_int64_data(value);
    return list;
  }

  std::vector<double> weight() {
    EXPECT_EQ(problem(), "");
    return find(load_onnx(folder_ / "m.onnx").state, "fc.weight")->values;
  }
};

TEST_F(OnnxArranged, ATransposedWeightIsRead) {
  NodeProto& transpose = arrange("Transpose");
  EXPECT_EQ(weight(), (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7}));
  integers(transpose, "perm", {0, 1});
  EXPECT_EQ(problem(),
            "node \"arrange\" (Transpose): it turns the constant [2, 4] round; only a matrix can be");
}

// As in the networks for MNIST that CNTK wrote.
TEST_F(OnnxArranged, AWeightThatIsReshapedIsRead) {
  arrange("Reshape").add_input("sizes");
  TensorProto& list = sizes({4, -1});
  EXPECT_EQ(weight(), (std::vector<double>{0, 2, 4, 6, 1, 3, 5, 7}));
  list.set_int64_data(0, 3);
  const std::string other =
      "node \"arrange\" (Reshape): it makes another number of elements of the constant [2, 4]";
  EXPECT_EQ(problem(), other);
  for (const std::int64_t size : {std::int64_t{-1}, std::int64_t{-2}, std::int64_t{1} << 52}) {
    list.set_int64_data(0, size);
    EXPECT_EQ(problem(), other) << size;
  }
  list.set_data_type(TensorProto::FLOAT);
  list.clear_int64_data();
  for (int i = 0; i < 2; ++i) list.add_float_data(1e30f);
  EXPECT_EQ(problem(), other);
}

TEST_F(OnnxArranged, TwoArrangementsInARowAreRefused) {
  arrange("Transpose");
  NodeProto& again = node("Transpose", "again", {"arranged"}, "back");
  for (int i = 4; i > 1; --i) graph().mutable_node()->SwapElements(i, i - 1);
  fc_->set_input(1, again.output(0));
  EXPECT_EQ(problem(),
            "node \"fc\" (MatMul): its input \"back\" is computed, but only a constant can be read there");
}

}  // namespace
}  // namespace convoy::test
