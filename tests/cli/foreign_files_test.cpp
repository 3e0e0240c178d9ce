// Checkpoints and labels as people have them: what the program makes of them, and says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "convoy/checkpoint.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;

class ForeignFilesTest : public testing::Test {
 protected:
  void SetUp() override { write_idx_data(folder_ / "digits"); }

  Outcome train(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"train", "--dataset", "idx", "--data", "digits", "--epochs", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, {folder_.path()});
  }

  TemporaryFolder folder_;
};

// As torch.save(torch.compile(DataParallel(model)).state_dict()) writes it, from before batch norm had
// counters.
TEST_F(ForeignFilesTest, AWrappedModelsStateIsTheModels) {
  ASSERT_EQ(train({"--out", "run"}).code, 0);
  StateDict state = load_checkpoint(folder_ / "run/model.ckpt");
  std::erase_if(state, [](const auto& entry) { return entry.first.ends_with("num_batches_tracked"); });
  for (auto& [name, tensor] : state) name = "_orig_mod.module." + name;
  save_checkpoint(state, folder_ / "run/wrapped.pt");
  const std::string note =
      "convoy: note: run/wrapped.pt: '_orig_mod.module.' left out of the tensors' names\n";

  const auto eval = [&](const std::string& file) {
    return run({"eval", "--checkpoint", file, "--data", "digits", "--json"}, {folder_.path()});
  };
  const Outcome plain = eval("run/model.ckpt"), wrapped = eval("run/wrapped.pt");
  ASSERT_EQ(wrapped.code, 0) << wrapped.err;
  EXPECT_EQ(wrapped.err, note);
  for (const char* member : {"loss", "accuracy", "confusion"}) {
    EXPECT_EQ(json_lines(wrapped.out).at(0)[member], json_lines(plain.out).at(0)[member]) << member;
  }
  const Outcome tuned = train({"--init", "run/wrapped.pt", "--out", "tuned"});
  EXPECT_EQ(tuned.code, 0);
  EXPECT_EQ(tuned.err, note);
}

TEST_F(ForeignFilesTest, LabelsFromOneAreTold) {
  std::string labels = read_file(folder_ / "digits/train-labels-idx1-ubyte");
  for (std::size_t i = 8; i < labels.size(); ++i) ++labels[i];
  write_file(folder_ / "digits/train-labels-idx1-ubyte", labels);
  const Outcome outcome = train({"--out", "run"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "") << "the test half has label 0";
  labels = read_file(folder_ / "digits/t10k-labels-idx1-ubyte");
  for (std::size_t i = 8; i < labels.size(); ++i) ++labels[i];
  write_file(folder_ / "digits/t10k-labels-idx1-ubyte", labels);
  const Outcome told = train({"--out", "again"});
  EXPECT_EQ(told.code, 0);
  EXPECT_EQ(told.err,
            "convoy: note: digits/train-labels-idx1-ubyte: label 10 at position 9 makes 11 classes, of which "
            "class 0 has "
            "no image; labels are to be counted from 0\n");
  labels[8] = '\xff';
  write_file(folder_ / "digits/t10k-labels-idx1-ubyte", labels);
  const Outcome refused = train({"--out", "last"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err,
              HasSubstr("digits/t10k-labels-idx1-ubyte: label 255 at position 0 makes 256 classes"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "last"));
}

}  // namespace
}  // namespace convoy::test
