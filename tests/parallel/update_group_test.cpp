// Clipping, Muon and the moving average in a group of processes: as of one process with the whole batch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "convoy/device.h"
#include "convoy/error.h"
#include "convoy/state.h"
#include "convoy/trainer.h"
#include "engine/backend/backend.h"
#include "engine/core/philox.h"
#include "tests/parallel/group_models.h"
#include "tests/parallel/thread_group.h"

namespace convoy {
namespace {

using test::run_as_group;
using testing::HasSubstr;

constexpr std::int64_t kSamples = 50;  // a rest of 2: of 4 processes two have none of it

Dataset noise_with_labels() {
  Dataset data{.name = "noise", .image = {1, 8, 8}, .classes = 3};
  PhiloxSequence random({3, 0});
  for (std::int64_t i = 0; i < kSamples; ++i) {
    data.labels.push_back(static_cast<std::uint8_t>(random.below(3)));
    for (int pixel = 0; pixel < 64; ++pixel)
      data.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  }
  return data;
}

class UpdateGroupTest : public testing::TestWithParam<std::string> {
 protected:
  /// What each rank has in the end, of a model whose convolution is small enough for Muon not to roughen
  /// roundings: its momentum has one large singular value and three of its size.
  std::vector<StateDict> train(int size) const {
    const Dataset data = noise_with_labels();
    const Model model = without_norm();
    std::vector<StateDict> states(static_cast<std::size_t>(size));
    run_as_group(size, [&](const std::shared_ptr<Communicator>& group) {
      const auto backend = make_backend(GetParam(), {.group = group}).backend;
      Trainer trainer(
          *backend, model, initial_state(model, 1),
          {.batch_size = kWholeBatch / size,
           .epochs = 2,
           .optimizer = SgdOptions{.learning_rate = 0.05f, .momentum = 0.9f, .weight_decay = 0.01f},
           .muon = MuonOptions{.learning_rate = 0.01f},
           .decay_weights_only = true,
           .clip_norm = 0.1f,
           .ema_decay = 0.75});
      trainer.fit(data);
      states[static_cast<std::size_t>(group->rank())] = trainer.state();
    });
    return states;
  }
};

// An update of Muon is what its momentum was divided by its singular values, so that it has the roundings of
// the gradients over the smallest of them: here above a hundredth of the norm, and ten steps of 0.01.
TEST_P(UpdateGroupTest, IsTheTrainingOfOneProcess) {
  const StateDict alone = train(1).front();
  for (const int size : {2, 4}) {
    const std::vector<StateDict> ranks = train(size);
    for (const StateDict& rank : ranks) {
      EXPECT_EQ(rank, ranks[0]) << "all have the same bits";
      for (const auto& [name, tensor] : alone) {
        for (std::size_t i = 0; i < tensor.values.size(); ++i) {
          EXPECT_NEAR(find(rank, name)->values[i], tensor.values[i],
                      kRounding + 10 * 0.01 * 100 * 21 * 0x1p-24)
              << name;
        }
      }
    }
  }
}

TEST_P(UpdateGroupTest, OptionsMustBeThoseOfRank0) {
  const Model model = without_norm();
  for (int option = 0; option < 4; ++option) {
    std::string refusal = "accepted";
    try {
      run_as_group(2, [&](const std::shared_ptr<Communicator>& group) {
        const auto backend = make_backend(GetParam(), {.group = group}).backend;
        TrainOptions options;
        if (!group->leads()) {
          if (option == 0) options.clip_norm = 1.0f;
          if (option == 1) options.ema_decay = 0.5;
          if (option == 2) options.decay_weights_only = true;
          if (option == 3) options.muon = MuonOptions{};
        }
        Trainer(*backend, model, initial_state(model, 1), options);
      });
    } catch (const UsageError& error) {
      refusal = error.what();
    }
    EXPECT_THAT(refusal, HasSubstr("other options of the training than rank 0")) << option;
  }
}

INSTANTIATE_TEST_SUITE_P(, UpdateGroupTest, testing::ValuesIn(host_backends()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace convoy
