// Data sets that are streamed to the GPU, beside the same ones that lie there. CTest runs this over the
// software GPU, where work runs as late as it may, and, under the label `gpu`, on a real one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "convoy/builtin.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "engine/data/order.h"
#include "tests/gpu/short_training.h"

namespace convoy::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::int64_t kImage = 64;  // bytes of a striped one

// Skips without a GPU.
class Streaming : public testing::Test {
 protected:
  void SetUp() override {
    const std::string why = cuda_backend_missing();
    if (!why.empty()) GTEST_SKIP() << "no GPU to test on: " << why;
  }
};

/// Blocks of that many images.
DeviceOptions blocks_of(std::int64_t images, DeviceOptions options = {}) {
  options.data_memory = 2 * kImage * images;
  return options;
}

void expect_equal(const Trained& streamed, const Trained& resident) {
  EXPECT_EQ(streamed.state, resident.state);
  EXPECT_EQ(streamed.evaluation.loss, resident.evaluation.loss);
  EXPECT_EQ(streamed.evaluation.accuracy, resident.evaluation.accuracy);
}

// Of 38 images in batches of 10 and 8: a batch a block, batches that end in the next block, and blocks that
// hold nearly all.
TEST_F(Streaming, ChangesNoBitOfATraining) {
  const Trained resident = train_on_stripes({});
  for (const std::int64_t images : {10, 11, 13, 18}) {
    SCOPED_TRACE(images);
    expect_equal(train_on_stripes(blocks_of(images)), resident);
    expect_equal(train_on_stripes(blocks_of(images, {.steps_per_launch = 2})), resident);
    expect_equal(train_on_stripes(blocks_of(images, {.use_cuda_graphs = false})), resident);
  }
}

// What an image's number decides, the passes behind the training, and every part by itself.
TEST_F(Streaming, ChangesNoBitOfWhatIsAroundATraining) {
  const TrainOptions options{.augmentation = {.max_shift = 2,
                                              .flip = Flip::alternating,
                                              .padding = Padding::reflect,
                                              .cutout = 2,
                                              .max_rotation = 20},
                             .check_finite = true,
                             .swa = true,
                             .bn_batches = 2};
  expect_equal(train_on_stripes(blocks_of(11), options), train_on_stripes({}, options));
  expect_equal(train_on_stripes(blocks_of(10, {.precision = Precision::bf16}), options),
               train_on_stripes({.precision = Precision::bf16}, options));

  const auto profiled = [](const DeviceOptions& device) {
    const auto backend = make_cuda_backend(device);
    const Model model = builtin_model("convnet", {1, 8, 8}, 2);
    Trainer trainer(*backend, model, initial_state(model, 3),
                    {.batch_size = 4, .epochs = 1, .profile_steps = 3});
    trainer.fit(stripes(4 * 40));
    return trainer.state();
  };
  EXPECT_EQ(profiled(blocks_of(7, {.precision = Precision::fp32})), profiled({.precision = Precision::fp32}));
}

// A training that goes on within an epoch begins within a block; what asks for more than an order has begins
// again.
TEST_F(Streaming, VisitsTheSamplesOfTheOrderFromAnyPlaceOn) {
  const Dataset data = stripes(23);
  const auto visited = [&](const DeviceOptions& options, std::int64_t begin) {
    const auto backend = make_cuda_backend(options);
    const auto dataset = backend->upload(data);
    const TensorPtr images = backend->make_activation({4, 1, 8, 8});
    const TensorPtr labels = backend->make_tensor({4}, DType::int32);
    const OperationPtr batch = backend->make_batch(*dataset, images, labels, {});
    backend->prepare();
    std::vector<double> seen;
    for (std::uint32_t epoch = 1; epoch < 3; ++epoch) {
      dataset->set_order(shuffled_order(23, 5, epoch), begin, epoch);
      for (std::int64_t left = 23 - begin; left >= 4; left -= 4) {
        EXPECT_EQ(dataset->provide(4, 1), 1);
        batch->forward(Phase::training);
        for (const TensorPtr& tensor : {images, labels}) {
          const std::vector<double> values = backend->read(*tensor);
          seen.insert(seen.end(), values.begin(), values.end());
        }
      }
    }
    if (options.data_memory) {
      EXPECT_THROW(dataset->provide(4, 1), Error);
    }
    return seen;
  };
  for (const std::int64_t begin : {0, 5, 19}) {
    for (const std::int64_t images : {4, 5, 9}) {
      SCOPED_TRACE(testing::Message() << "from " << begin << " in blocks of " << images);
      EXPECT_EQ(visited(blocks_of(images), begin), visited({}, begin));
    }
  }
}

TEST_F(Streaming, GivesAsManyStepsAsABlockHas) {
  const Dataset data = stripes(38);
  const auto backend = make_cuda_backend(blocks_of(11));
  const auto dataset = backend->upload(data);
  EXPECT_THROW(dataset->provide(4, 1), Error) << "without an order";
  dataset->set_order(sequential_order(38));
  EXPECT_EQ(dataset->provide(4, 20), 2);
  EXPECT_EQ(dataset->provide(4, 20), 1) << "in two blocks";
  EXPECT_EQ(dataset->provide(4, 20), 2);
  EXPECT_EQ(make_cuda_backend({})->upload(data)->provide(4, 20), 20) << "all are there";
}

TEST_F(Streaming, SaysWhatIsTooLittle) {
  const auto said = [](const DeviceOptions& options) -> std::string {
    try {
      train_on_stripes(options);
      return "nothing";
    } catch (const UsageError& error) {
      return error.what();
    }
  };
  EXPECT_THAT(said(blocks_of(9)), AllOf(HasSubstr("stripes"), HasSubstr("a batch of 10 images"),
                                        HasSubstr("9 at a time"), HasSubstr("--data-memory")));
  EXPECT_THAT(
      said({.data_memory = 127}),
      AllOf(HasSubstr("127 bytes"), HasSubstr("no two images of [1, 8, 8]"), HasSubstr("--data-memory")));
  EXPECT_THAT(said({.data_memory = 0}), HasSubstr("0 bytes"));
}

}  // namespace
}  // namespace convoy::test
