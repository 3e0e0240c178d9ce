// Copies of a training's state that are taken while it goes on.
#include <gtest/gtest.h>

#include <thread>

#include "tests/backend/backends.h"
#include "tests/backend/harness.h"
#include "tests/backend/values.h"

namespace convoy {
namespace {

using StagerTest = BackendTest;

// A 4-D tensor lies in another order on a GPU, the second is of no multiple of any alignment.
TEST_P(StagerTest, HasWhatWasThereWhenItStaged) {
  const TensorPtr image = backend().make_tensor({2, 3, 2, 2}, DType::float32);
  const TensorPtr vector = backend().make_tensor({5}, DType::float32);
  const auto counter = backend().make_counter();
  const auto metrics = backend().make_metrics();
  Values first(24), second(24);
  for (std::size_t i = 0; i < first.size(); ++i) {
    first[i] = static_cast<double>(i) / 4.0;
    second[i] = -first[i];
  }
  backend().write(*image, first);
  backend().write(*vector, Values{1, 2, 3, 4, 5});
  counter->write(7);
  const MetricsReading reading{.last_loss = 0.5, .loss_sum = 2.5, .correct = 3, .samples = 4};
  metrics->write(reading);

  const auto stager = backend().make_stager({{image, vector}, *counter, *metrics});
  stager->stage();
  backend().write(*image, second);
  backend().write(*vector, Values{0, 0, 0, 0, 0});
  counter->advance();
  metrics->reset();

  StagedValues staged;
  std::thread([&] { staged = stager->read(); }).join();
  ASSERT_EQ(staged.tensors.size(), 2u);
  EXPECT_EQ(staged.tensors[0], first);
  EXPECT_EQ(staged.tensors[1], (Values{1, 2, 3, 4, 5}));
  EXPECT_EQ(staged.step, 7);
  EXPECT_EQ(staged.metrics, reading);

  stager->stage();  // again, into the same room
  const StagedValues again = stager->read();
  EXPECT_EQ(again.tensors[0], second);
  EXPECT_EQ(again.step, 8);
  EXPECT_EQ(again.metrics, MetricsReading{});
}

INSTANTIATE_TEST_SUITE_P(, StagerTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
