// Whatever is wrong: one line on standard error, the right exit code, and not a file more than before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/cli/bad_input.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;

TEST_F(BadInputTest, CommandLine) {
  expect_refused({}, kUsage, "subcommand");
  expect_refused({"trian"}, kUsage, "trian");
  expect_refused({"train", "--no-such-flag"}, kUsage, "--no-such-flag");
  expect_refused({"eval"}, kUsage, "--checkpoint");
  expect_refused({"eval", "--checkpoint", "run/model.ckpt", "--tta", "turn"}, kUsage, "--tta");
  expect_refused({"predict", "--checkpoint", "x"}, kUsage, "images");
  expect_refused({"fetch"}, kUsage, "dataset");
  expect_refused({"fetch", "emnist"}, kUsage, "emnist");
  expect_refused({"gradcheck", "--device", "tpu"}, kUsage, "tpu");
  expect_refused({"gradcheck", "--device", "reference", "--precision", "bf16"}, kUsage,
                 "reference: it knows no bf16, take fp32");
  expect_refused({"bench", "--device", "reference", "--autotune"}, kUsage,
                 "--autotune is the CUDA backend's");
  expect_refused({"bench", "--precision", "fp16"}, kUsage, "fp16 not in {fp32,tf32,bf16}");
  expect_refused({"bench", "--no-plan-cache", "--plan-cache", "plans"}, kUsage, "excludes");
  expect_refused({"bench", "--steps", "0"}, kUsage, "--steps");
  expect_refused({"bench", "--model", "nonet"}, kUsage, "nonet");
}

TEST_F(BadInputTest, TrainingFlags) {
  expect_train_refused({"--batch-size", "0"}, kUsage, "--batch-size");
  expect_train_refused({"--batch-size", "-5"}, kUsage, "--batch-size");
  expect_train_refused({"--batch-size", "501"}, kUsage, "larger than the 500");
  expect_train_refused({"--batch-size", "9000000000000000000"}, kUsage, "larger than the 500");
  expect_train_refused({"--batch-size", "ten"}, kUsage, "--batch-size");
  expect_train_refused({"--epochs", "0"}, kUsage, "--epochs");
  expect_train_refused({"--log-every", "-1"}, kUsage, "--log-every");
  expect_train_refused({"--limit-train", "-1"}, kUsage, "--limit-train");
  expect_train_refused({"--seed", "-1"}, kUsage, "--seed");
  for (const char* rate : {"0", "-1", "nan", "inf", "1e99", "fast"}) {
    expect_train_refused({"--lr", rate}, kUsage, "--lr");
  }
  expect_train_refused({"--optimizer", "lion"}, kUsage, "lion");
  expect_train_refused({"--weight-decay", "-1"}, kUsage, "--weight-decay");
  expect_train_refused({"--weight-decay", "nan"}, kUsage, "--weight-decay");
  expect_train_refused({"--optimizer", "sgd", "--momentum", "-0.5"}, kUsage, "--momentum");
  expect_train_refused({"--optimizer", "sgd", "--nesterov"}, kUsage, "--nesterov needs a --momentum");
  expect_train_refused({"--momentum", "0.9"}, kUsage, "--momentum is for --optimizer sgd, not adam");
  expect_train_refused({"--optimizer", "adamw", "--nesterov"}, kUsage, "--nesterov is for --optimizer sgd");
  expect_train_refused({"--decay", "some"}, kUsage, "--decay");
  expect_train_refused({"--clip-norm", "-1"}, kUsage, "--clip-norm");
  expect_train_refused({"--clip-norm", "1e-60"}, kUsage,
                       "gradient clipping: norm 0 is not a positive number");
  expect_train_refused({"--ema", "1"}, kUsage, "moving average: decay 1 is not above 0 and below 1");
  expect_train_refused({"--ema", "-0.5"}, kUsage, "--ema");
  expect_train_refused({"--ema", "0.9", "--swa"}, kUsage, "--ema and --swa both average the weights");
  expect_train_refused({"--muon-lr", "0.1"}, kUsage, "--muon-lr needs --muon");
  expect_train_refused({"--muon-linear"}, kUsage, "--muon-linear needs --muon");
  expect_train_refused({"--muon-momentum", "0.9"}, kUsage, "--muon-momentum needs --muon");
  expect_train_refused({"--muon-weight-decay", "0"}, kUsage, "--muon-weight-decay needs --muon");
  expect_train_refused({"--muon", "--muon-lr", "0"}, kUsage, "--muon-lr");
  expect_train_refused({"--muon", "--muon-momentum", "1"}, kUsage,
                       "Muon: momentum 1 is not in the range [0, 1)");
  expect_train_refused({"--lr", "1e-60"}, kUsage, "learning rate 0 is not a positive number");
  for (const char* smoothing : {"1", "-0.1", "nan", "some"}) {
    expect_train_refused({"--label-smoothing", smoothing}, kUsage, "--label-smoothing");
  }
  expect_train_refused({"--shift", "-1"}, kUsage, "--shift");
  expect_train_refused({"--shift", "8"}, kUsage, "8 pixels does not fit images of [1, 8, 8]");
  expect_train_refused({"--shift", "9000000000000000000"}, kUsage, "--shift");
  expect_train_refused({"--flip", "sometimes"}, kUsage, "neither random nor alternating nor none");
  expect_train_refused({"--padding", "circular"}, kUsage, "--padding");
  expect_train_refused({"--cutout", "9"}, kUsage,
                       "9 pixels cannot be cut out of images of [1, 8, 8]: 0 to 8");
  expect_train_refused({"--cutout", "-1"}, kUsage, "--cutout");
  for (const char* degrees : {"-1", "181", "nan"}) {
    expect_train_refused({"--rotate", degrees}, kUsage, "is not from 0 to 180 degrees");
  }
  for (const char* fraction : {"-0.1", "0.6", "nan"}) {
    expect_train_refused({"--scale", fraction}, kUsage, "is not from 0 to 0.5");
  }
  expect_train_refused({"--model", "alexnet"}, kUsage, "alexnet");
  expect_train_refused({"--device", "tpu"}, kUsage, "tpu");
  expect_refused({"train", "--dataset", "emnist", "--data", "digits"}, kUsage, "emnist");
  expect_refused({"train", "--summary", "--dataset", "emnist"}, kUsage, "emnist");
  expect_refused({"train", "--summary", "--json"}, kUsage, "--json");
  for (const std::string flag : {"--out", "--init", "--data"}) {
    expect_refused({"train", flag, ""}, kUsage, flag + ": it is empty");
  }
}

TEST_F(BadInputTest, DataFolder) {
  expect_refused({"train", "--dataset", "idx"}, kFailed, "--data");
  expect_refused({"train", "--data", "nowhere"}, kFailed, "nowhere");
  std::filesystem::create_directory(folder_ / "empty");
  expect_refused({"train", "--data", "empty"}, kFailed, "empty");
  if (geteuid() != 0) {  // root reads everything
    std::filesystem::permissions(digits(), std::filesystem::perms::none);
    expect_train_refused({}, kFailed, "digits");
    std::filesystem::permissions(digits(), std::filesystem::perms::owner_all);
  }
}

TEST_F(BadInputTest, IdxFiles) {
  const std::string images = read_file(train_images()), labels = read_file(train_labels());
  const auto expect_images_refused = [&](const std::string& content, const std::string& reason) {
    write_file(train_images(), content);
    expect_train_refused({}, kFailed, reason);
    write_file(train_images(), images);
  };
  const auto expect_labels_refused = [&](const std::string& content, const std::string& reason) {
    write_file(train_labels(), content);
    expect_train_refused({"--dataset", "mnist"}, kFailed, reason);
    write_file(train_labels(), labels);
  };
  const std::string name = "train-images-idx3-ubyte", label_name = "train-labels-idx1-ubyte";
  expect_images_refused("", name);
  expect_images_refused(images.substr(0, 10), name);                      // truncated in the header
  expect_images_refused(images.substr(0, images.size() - 1), name);       // truncated in the data
  expect_images_refused(images + "x", name);                              // oversized
  expect_images_refused(std::string(1, '\x01').append(images, 1), name);  // magic
  expect_images_refused(images.substr(0, 4) + big_endian(0) + images.substr(8), name);
  const std::string huge = big_endian(0xffffffff);
  expect_images_refused(images.substr(0, 4) + huge + huge + huge, name);            // the product overflows
  expect_labels_refused(labels.substr(0, labels.size() - 1) + "\x0a", label_name);  // label 10 of 10
  expect_labels_refused(labels.substr(0, 4) + big_endian(499) + labels.substr(8, 499), "499");
}

TEST_F(BadInputTest, GzipBomb) {
  std::filesystem::remove(train_images());
  const gzFile bomb = gzopen((train_images().string() + ".gz").c_str(), "wb9");
  ASSERT_NE(bomb, nullptr);
  const std::string header = big_endian(0x0803) + big_endian(500) + big_endian(8) + big_endian(8);
  gzwrite(bomb, header.data(), static_cast<unsigned>(header.size()));
  const std::string zeros(1 << 20, '\0');
  for (int i = 0; i < 64; ++i) gzwrite(bomb, zeros.data(), static_cast<unsigned>(zeros.size()));
  ASSERT_EQ(gzclose(bomb), Z_OK);
  expect_train_refused({}, kFailed, "train-images-idx3-ubyte.gz");
}

TEST_F(BadInputTest, ModelFiles) {
  const auto expect_model_refused = [&](const std::string& json, const std::string& reason) {
    write_file(folder_ / "m.json", json);
    expect_train_refused({"--model", "m.json"}, kUsage, reason);
  };
  expect_model_refused("{", "m.json");
  expect_model_refused("[]", "m.json");
  expect_model_refused(R"({"name": "m", "input": [1, 8, 8], "layers": [{"name": "a", "type": "Conv3d"}]})",
                       "Conv3d");
  expect_model_refused(R"({"name": "m", "input": [1, 8, 8], "layers": [{"name": "a", "type": "Flatten"},
                        {"name": "b", "type": "Linear", "in_features": 65, "out_features": 10}]})",
                       "b");
  expect_model_refused(R"({"name": "m", "input": [1, 9, 8], "layers": [{"name": "a", "type": "Flatten"},
                        {"name": "b", "type": "Linear", "in_features": 72, "out_features": 10}]})",
                       "[1, 9, 8]");
  expect_model_refused(R"({"name": "m", "input": [1, 8, 8], "layers": [{"name": "a", "type": "Flatten"},
                        {"name": "b", "type": "Linear", "in_features": 64, "out_features": 9}]})",
                       "9");
  expect_train_refused({"--model", "missing.json"}, kFailed, "missing.json");
}

TEST_F(BadInputTest, OutputFolder) {
  write_file(folder_ / "file", "");
  expect_train_refused({"--out", "file"}, kFailed, "file");
  expect_train_refused({"--out", "file/below"}, kFailed, "file/below");
  expect_train_refused({"--out", "/proc/no/run"}, kFailed, "/proc/no/run");
}

TEST_F(BadInputTest, Checkpoints) {
  ASSERT_NO_FATAL_FAILURE(train());
  const std::string good = read_file(folder_ / "run/model.ckpt");
  const auto expect_checkpoint_refused = [&](const std::string& content) {
    write_file(folder_ / "bad.ckpt", content);
    expect_refused({"eval", "--checkpoint", "bad.ckpt", "--data", "digits"}, kFailed, "bad.ckpt");
    expect_refused({"predict", "--checkpoint", "bad.ckpt", "x.png"}, kFailed, "bad.ckpt");
    expect_train_refused({"--init", "bad.ckpt"}, kFailed, "bad.ckpt");
  };
  expect_checkpoint_refused("");
  expect_checkpoint_refused("not a zip");
  expect_checkpoint_refused(good.substr(0, good.size() / 2));
  std::string foreign = good;  // the same length, another global: what an attacker would write
  const std::string global = "collections\nOrderedDict", other = "subprocess1\ncheck_outpu";
  ASSERT_EQ(global.size(), other.size());
  ASSERT_NE(foreign.find(global), std::string::npos);
  foreign.replace(foreign.find(global), global.size(), other);
  expect_checkpoint_refused(foreign);

  expect_refused({"eval", "--checkpoint", "gone.ckpt", "--data", "digits"}, kFailed, "gone.ckpt");
  // A checkpoint of another model.
  expect_refused({"eval", "--checkpoint", "run/model.ckpt", "--data", "digits", "--model", "lenet5"}, kFailed,
                 "run/model.ckpt");
  expect_train_refused({"--model", "resnet9", "--init", "run/model.ckpt"}, kFailed, "run/model.ckpt");
  write_file(folder_ / "run/run.json", "{}");
  std::filesystem::remove(folder_ / "run/model.json");  // which would say the same
  expect_refused({"eval", "--checkpoint", "run/model.ckpt", "--data", "digits"}, kFailed, "run.json");
}

TEST_F(BadInputTest, Pictures) {
  ASSERT_NO_FATAL_FAILURE(train());
  write_file(folder_ / "text.png", "this is no picture");
  write_file(folder_ / "empty.png", "");
  write_png(folder_ / "blank.png", {12, 12, 1, std::vector<std::uint8_t>(144, 255)});
  write_png(folder_ / "whole.png", {64, 64, 1, std::vector<std::uint8_t>(64 * 64, 9)});
  const std::string png = read_file(folder_ / "whole.png");
  write_file(folder_ / "cut.png", png.substr(0, png.size() / 2));
  // Dimensions of a gigapixel picture in the header, at bytes 16 to 23.
  write_file(folder_ / "huge.png",
             png.substr(0, 16) + big_endian(32768) + big_endian(32768) + png.substr(24));
  for (const char* picture :
       {"text.png", "empty.png", "blank.png", "cut.png", "huge.png", "gone.png", "digits"}) {
    expect_refused({"predict", "--checkpoint", "run/model.ckpt", picture}, kFailed, picture);
  }
  Pixels bar{8, 8, 1, std::vector<std::uint8_t>(64, 255)};
  for (std::size_t row = 1; row < 7; ++row) bar.values[row * 8 + 4] = 0;
  write_png(folder_ / "bar.png", bar);
  const Outcome mixed = run(
      {"predict", "--checkpoint", "run/model.ckpt", "--json", "text.png", "bar.png", "gone.png", "bar.png"},
      {folder_.path()});
  EXPECT_EQ(mixed.code, kFailed);
  EXPECT_EQ(lines(mixed.err).size(), 2u) << mixed.err;
  EXPECT_THAT(mixed.err,
              AllOf(HasSubstr("convoy: error: text.png"), HasSubstr("convoy: error: cannot read gone.png")));
  const auto predictions = json_lines(mixed.out);
  ASSERT_EQ(predictions.size(), 2u);
  EXPECT_EQ(predictions[0]["file"], "bar.png");
  EXPECT_EQ(predictions[0], predictions[1]);
}

TEST_F(BadInputTest, AFullDiskIsNoSuccess) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  const std::vector<std::string> train = {"train", "--data",   "digits", "--dataset",
                                          "idx",   "--epochs", "1",      "--overwrite"};
  std::vector<std::string> train_json = train;
  train_json.push_back("--json");
  for (const auto& arguments : {std::vector<std::string>{"doctor"}, train, train_json}) {
    const Outcome outcome = run_into("/dev/full", arguments, {folder_.path()});
    EXPECT_EQ(outcome.code, kFailed) << arguments.back();
    EXPECT_THAT(outcome.err, HasSubstr("standard output cannot be written")) << arguments.back();
  }
}

}  // namespace
}  // namespace convoy::test
