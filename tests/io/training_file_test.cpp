// A whole training in one file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "convoy/checkpoint.h"
#include "convoy/error.h"
#include "engine/io/training_pickle.h"
#include "tests/io/convnet_state.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// As a training with those options might leave it after 1234 steps.
TrainingSnapshot snapshot_of(const std::vector<std::string>& slots) {
  TrainingSnapshot snapshot{
      .model = convnet_state(),
      .parameters = {},
      .optimizer = {},
      .counter = 1234,
      .total_steps = 3000,
      .average_count = 2,
      .average = {},
      .position = {.epoch = 3, .step = 34},
      .metrics = {.last_loss = 0.1, .loss_sum = 1e300, .correct = 70000, .samples = 3'000'000'000}};
  for (const auto& [name, tensor] : snapshot.model) {
    if (name.find("running") != std::string::npos || tensor.dtype == DType::int64) continue;
    snapshot.parameters.push_back(name);
    snapshot.average.emplace_back(name, ramp(tensor.shape, 99));
  }
  for (std::size_t slot = 0; slot < slots.size(); ++slot) {
    for (const auto& [name, tensor] : snapshot.average) {
      snapshot.optimizer.emplace_back(slots[slot] + "." + name,
                                      ramp(tensor.shape, static_cast<int>(slot) + 40));
    }
  }
  return snapshot;
}

class TrainingFile : public testing::Test {
 protected:
  std::string error_of_load() const {
    return error_of([&] { load_training(file_); });
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "state.ckpt";
};

TEST_F(TrainingFile, ComesBackAsItWas) {
  const std::pair<OptimizerOptions, std::vector<std::string>> cases[] = {
      {AdamOptions{}, {"exp_avg", "exp_avg_sq"}},
      {SgdOptions{.momentum = 0.9f}, {"momentum_buffer"}},
      {SgdOptions{}, {}}};
  for (const auto& [options, slots] : cases) {
    const TrainingSnapshot snapshot = snapshot_of(slots);
    const std::string notes = "{\"text\": \"\xc3\xa4\\n\"}";
    save_training(snapshot, options, notes, file_);
    const SavedTraining saved = load_training(file_);
    EXPECT_EQ(saved.snapshot, snapshot);
    EXPECT_EQ(saved.notes, notes);
  }
}

TEST_F(TrainingFile, WithoutAnAverageComesBackAsItWas) {
  TrainingSnapshot snapshot = snapshot_of({"exp_avg", "exp_avg_sq"});
  snapshot.average.clear();
  snapshot.average_count = 0;
  snapshot.position = {.epoch = 6, .step = 0, .settled = true};
  save_training(snapshot, AdamOptions{}, "", file_);
  EXPECT_EQ(load_training(file_).snapshot, snapshot);
}

// Convolutions by Muon, the others in two groups by AdamW; and a moving average with running statistics.
TEST_F(TrainingFile, GroupsMuonAndAMovingAverageComeBackAsTheyWere) {
  const std::pair<OptimizerOptions, std::vector<std::string>> cases[] = {
      {AdamOptions{.weight_decay = 0.01f, .decoupled_weight_decay = true}, {"exp_avg", "exp_avg_sq"}},
      {SgdOptions{.momentum = 0.9f}, {"momentum_buffer"}},
      {SgdOptions{}, {}}};
  for (const auto& [options, slots] : cases) {
    TrainingSnapshot snapshot = snapshot_of(slots);
    std::erase_if(snapshot.optimizer, [](const auto& entry) { return entry.second.shape.rank() == 4; });
    for (const auto& [name, tensor] : snapshot.model) {
      if (tensor.dtype != DType::int64) snapshot.ema.emplace_back(name, ramp(tensor.shape, 7));
    }
    snapshot.ema_count = 1200;
    for (const auto& [name, tensor] : snapshot.average) {
      if (tensor.shape.rank() == 1) snapshot.undecayed.push_back(name);
      if (tensor.shape.rank() != 4) continue;
      snapshot.orthogonalized.push_back(name);
      snapshot.optimizer.emplace_back("momentum_buffer." + name, ramp(tensor.shape, 50));
    }
    save_training(snapshot, options, "", file_, MuonOptions{});
    EXPECT_EQ(load_training(file_).snapshot, snapshot);
    EXPECT_EQ(load_checkpoint(file_), convnet_state());
    EXPECT_THAT(error_of([&] { save_training(snapshot, options, "", file_); }),
                HasSubstr("the options of Muon are missing"));
  }
}

// Of a program that knew neither: the entries are not there.
TEST_F(TrainingFile, OfBeforeThereWasAMovingAverageIsRead) {
  const TrainingSnapshot snapshot = snapshot_of({});
  PickledFile file = training_to_pickle(snapshot, SgdOptions{}, "");
  const std::size_t count = file.pickle.find("ema_count");
  ASSERT_NE(count, std::string::npos);
  file.pickle[count] = 'x';
  const auto storage = [&](std::string_view key) { return file.storages.at(std::stoul(std::string(key))); };
  EXPECT_EQ(training_from_pickle(file.pickle, storage, 1'000'000).snapshot, snapshot);
}

TEST_F(TrainingFile, TheSameStateGivesTheSameBytes) {
  const TrainingSnapshot snapshot = snapshot_of({"exp_avg", "exp_avg_sq"});
  save_training(snapshot, AdamOptions{}, "notes", file_);
  save_training(snapshot, AdamOptions{}, "notes", folder_ / "other.ckpt");
  EXPECT_EQ(read_file(file_), read_file(folder_ / "other.ckpt"));
}

// Neither the average nor the moments are mistaken for the model.
TEST_F(TrainingFile, IsAlsoACheckpoint) {
  save_training(snapshot_of({"exp_avg", "exp_avg_sq"}), AdamOptions{}, "", file_);
  std::string said;
  EXPECT_EQ(load_checkpoint(file_, [&](const std::string& line) { said = line; }), convnet_state());
  EXPECT_THAT(said, HasSubstr("its state dict is the one under \"model\""));
}

TEST_F(TrainingFile, ATensorThatDoesNotBelongIsRefused) {
  TrainingSnapshot snapshot = snapshot_of({"exp_avg", "exp_avg_sq"});
  snapshot.optimizer.pop_back();
  EXPECT_THAT(error_of([&] { save_training(snapshot, AdamOptions{}, "", file_); }),
              HasSubstr("tensors of an optimizer do not go with 10 parameters"));
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(TrainingFile, AnythingElseIsRefusedWithAReason) {
  save_checkpoint(convnet_state(), file_);
  EXPECT_THAT(error_of_load(),
              AllOf(HasSubstr("cannot load training"), HasSubstr("it lacks the entry \"convoy\"")));
  write_file(file_, "no zip");
  EXPECT_THAT(error_of_load(), HasSubstr("it is not a file that torch.save wrote"));
  EXPECT_THAT(error_of([&] { load_training(folder_ / "missing"); }), HasSubstr("No such file or directory"));
}

// Every byte of the file is covered by a checksum, or by a check of what it says.
TEST_F(TrainingFile, DamageIsNoticed) {
  TrainingSnapshot snapshot = snapshot_of({"exp_avg", "exp_avg_sq"});
  save_training(snapshot, AdamOptions{}, "notes", file_);
  const std::string good = read_file(file_);
  for (std::size_t size = 0; size < good.size(); size += 9973) {
    write_file(file_, good.substr(0, size));
    EXPECT_THAT(error_of_load(), HasSubstr("cannot load training")) << size;
  }
  for (std::size_t at = 200; at + 30000 < good.size(); at += 9973) {  // in the pickle and in storages
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    write_file(file_, bad);
    try {
      EXPECT_EQ(load_training(file_).snapshot, snapshot) << "padding, at " << at;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("cannot load training"));
    }
  }
}

TEST_F(TrainingFile, ANewerFormatIsNamed) {
  PickledFile file = training_to_pickle(snapshot_of({}), SgdOptions{}, "");
  const std::size_t format = file.pickle.find("format") + 6;
  ASSERT_EQ(file.pickle.substr(format, 2), "K\x01");
  file.pickle[format + 1] = 2;
  const auto storage = [&](std::string_view key) { return file.storages.at(std::stoul(std::string(key))); };
  EXPECT_THAT(error_of([&] { training_from_pickle(file.pickle, storage, 1'000'000); }),
              HasSubstr("its format is 2, of a newer Convoy; this one reads format 1"));
}

}  // namespace
}  // namespace convoy
