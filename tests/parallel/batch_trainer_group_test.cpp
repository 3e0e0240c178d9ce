// A loop of one's own in a group of processes is that of one process with all the images.
#include "convoy/batch_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>

#include "convoy/device.h"
#include "convoy/state.h"
#include "engine/core/philox.h"
#include "tests/parallel/group_models.h"
#include "tests/parallel/thread_group.h"

namespace convoy {
namespace {

using test::run_as_group;

class BatchTrainerGroupTest : public testing::TestWithParam<std::string> {};

// Each process brings its rows, rank 0 the first.
TEST_P(BatchTrainerGroupTest, OwnLoopsTrainTogether) {
  const Model model = without_norm();
  std::vector<std::uint8_t> labels(kWholeBatch);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint8_t>(i % 3);
  std::vector<float> pixels(kWholeBatch * 64);
  PhiloxSequence random({9, 0});
  for (float& pixel : pixels) pixel = static_cast<float>(random.uniform(-1.0, 1.0));
  const auto train = [&](int size) {
    std::vector<StateDict> states(static_cast<std::size_t>(size));
    std::vector<double> mean_losses(static_cast<std::size_t>(size));
    run_as_group(size, [&](const std::shared_ptr<Communicator>& group) {
      const auto rank = static_cast<std::size_t>(group->rank()),
                 rows = kWholeBatch / static_cast<std::size_t>(size);
      const auto backend = make_backend(GetParam(), {.group = group}).backend;
      BatchTrainer trainer(*backend, model, initial_state(model, 1 + rank),
                           {.optimizer = SgdOptions{.learning_rate = 0.05f}});
      for (int step = 0; step < 3; ++step) {
        trainer.forward(std::span<const float>(pixels).subspan(rank * rows * 64, rows * 64));
        mean_losses[rank] =
            sum_of(*group, trainer.loss(std::span<const std::uint8_t>(labels).subspan(rank * rows, rows))) /
            size;
        trainer.backward();
        trainer.step();
      }
      states[rank] = trainer.state();
    });
    return std::pair(states, mean_losses);
  };
  const auto [alone, alone_losses] = train(1);
  const auto [together, losses] = train(3);
  EXPECT_EQ(together[1], together[0]) << "they begin with rank 0's state";
  EXPECT_EQ(together[2], together[0]);
  EXPECT_NEAR(losses[1], alone_losses[0], kRounding);
  for (const auto& [name, tensor] : alone[0]) {
    EXPECT_THAT(find(together[0], name)->values,
                testing::Pointwise(testing::DoubleNear(kRounding), tensor.values))
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(On, BatchTrainerGroupTest, testing::ValuesIn(host_backends()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace convoy
