// Files that are none, and files that claim what they do not hold.
#include <sys/stat.h>

#include "tests/cli/bad_input.h"

namespace convoy::test {
namespace {

using HostileFilesTest = BadInputTest;

// Whatever the program reads may turn out to be a FIFO that nobody writes to, a device without an end, or a
// folder. It says so and does not wait; a program that waits runs into the test's time limit.
TEST_F(HostileFilesTest, WhatIsNoFileIsNotWaitedFor) {
  ASSERT_NO_FATAL_FAILURE(train());
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  ASSERT_EQ(mkfifo((folder_ / "fifo.json").c_str(), 0600), 0);
  const std::string fifo = "it is a FIFO, not a regular file";
  const std::vector<std::pair<std::string, std::string>> others = {
      {"fifo", fifo},
      {"digits", "it is a folder, not a regular file"},
      {"/dev/zero", "it is a device, not a regular file"}};
  for (const auto& [path, reason] : others) {
    const std::string line = "cannot read " + path + ": " + reason;
    if (path != "digits") expect_refused({"predict", "--checkpoint", "run/model.ckpt", path}, kFailed, line);
    expect_refused({"predict", "--checkpoint", "run/model.ckpt", "--files-from", path}, kFailed, line);
    expect_refused({"predict", "--checkpoint", path, "x.png"}, kFailed, line);
    expect_refused({"eval", "--checkpoint", path, "--data", "digits"}, kFailed, line);
    expect_train_refused({"--init", path}, kFailed, line);
  }
  expect_train_refused({"--model", "fifo"}, kFailed, "cannot read fifo: " + fifo);
  expect_train_refused({"--model", "fifo.json"}, kFailed, "cannot read fifo.json: " + fifo);

  const auto in_place_of = [&](const std::filesystem::path& file) {
    std::filesystem::rename(file, folder_ / "aside");
    ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  };
  const auto back = [&](const std::filesystem::path& file) {
    std::filesystem::rename(folder_ / "aside", file);
  };
  const std::vector<std::string> eval = {"eval", "--checkpoint", "run/model.ckpt", "--data", "digits"};
  for (const char* name : {"model.json", "run.json"}) {
    in_place_of(folder_ / "run" / name);
    expect_refused(eval, kFailed, std::string("cannot read run/") + name + ": " + fifo);
    back(folder_ / "run" / name);
  }
  for (const auto& file : {train_images(), train_labels()}) {
    in_place_of(file);
    expect_train_refused({}, kFailed, file.filename().string() + ": " + fifo);
    back(file);
  }
  in_place_of(train_images());
  std::filesystem::rename(train_images(), train_images().string() + ".gz");
  expect_train_refused({}, kFailed, train_images().filename().string() + ".gz: " + fifo);
  std::filesystem::create_directory(folder_ / "cifar");
  for (const char* name :
       {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"}) {
    ASSERT_EQ(mkfifo((folder_ / ("cifar/" + std::string(name) + ".bin")).c_str(), 0600), 0);
  }
  expect_refused({"train", "--dataset", "cifar10", "--data", "cifar"}, kFailed, "data_batch_1.bin: " + fifo);
}

// A header may claim what its file cannot hold. Nothing is allocated for it.
TEST_F(HostileFilesTest, PicturesThatClaimMoreThanTheyHold) {
  ASSERT_NO_FATAL_FAILURE(train());
  write_png(folder_ / "whole.png", {64, 64, 1, std::vector<std::uint8_t>(64 * 64, 9)});
  const std::string png = read_file(folder_ / "whole.png");
  // Dimensions at bytes 16 to 23, and the length of the first IDAT chunk at 33 to 36.
  write_file(folder_ / "wide.png", png.substr(0, 16) + big_endian(8000) + big_endian(8000) + png.substr(24));
  write_file(folder_ / "long.png", png.substr(0, 33) + big_endian(1 << 30) + png.substr(37));
  const auto expect_picture_refused = [&](const std::string& file, const std::string& reason) {
    expect_refused({"predict", "--checkpoint", "run/model.ckpt", file}, kFailed, file + ": " + reason);
  };
  expect_picture_refused(
      "wide.png", std::to_string(png.size()) + " bytes cannot hold 8000 x 8000 pixels; get the file again");
  expect_picture_refused("long.png", "a chunk ends behind the file; get the file again");
  // stb_image would make four channels of these samples by a function for 8 bits, which reads behind them.
  write_file(folder_ / "wide.ppm", "P6 64 64 65535\n" + std::string(64 * 64 * 6, '\x40'));
  expect_refused({"predict", "--checkpoint", "run/model.ckpt", "wide.ppm"}, kFailed,
                 "wide.ppm: a PNM of 16 bits is not read; save it as PNG");
}

}  // namespace
}  // namespace convoy::test
