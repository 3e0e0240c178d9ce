#include "engine/data/cifar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Cifar10, ReadsRecordsOfSeveralFiles) {
  const TemporaryFolder folder;
  const Dataset dataset = read_cifar10({folder.write("one", cifar_record(7, 1) + cifar_record(1, 2)),
                                        folder.write("two", cifar_record(9, 3))});
  EXPECT_EQ(dataset.image, Shape({3, 32, 32}));
  EXPECT_EQ(dataset.classes, 10);
  EXPECT_THAT(dataset.labels, ElementsAre(7, 1, 9));
  EXPECT_EQ(std::string(dataset.pixels.begin(), dataset.pixels.end()),
            noise(3072, 1) + noise(3072, 2) + noise(3072, 3));
  EXPECT_THAT(dataset.normalization.mean, ElementsAre(0.4914f, 0.4822f, 0.4465f));
  EXPECT_THAT(dataset.normalization.std, ElementsAre(0.2470f, 0.2435f, 0.2616f));
}

TEST(Cifar10, RefusesBadFiles) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& content) {
    return error_of([&] { read_cifar10({folder.write("batch", content)}); });
  };
  EXPECT_THAT(refusal(""), HasSubstr("batch: is empty"));
  EXPECT_THAT(refusal(noise(3072)),
              HasSubstr("batch: 3072 bytes are not a whole number of CIFAR-10 records"));
  EXPECT_THAT(refusal(noise(3074)), HasSubstr("they are of CIFAR-100's"));
  EXPECT_THAT(refusal(cifar_record(1, 1) + cifar_record(10, 2)),
              HasSubstr("batch: label 10 in record 1 is not below the 10 classes"));
  EXPECT_THAT(error_of([&] { read_cifar10({folder / "none"}); }), HasSubstr("No such file"));
}

TEST(Cifar100, ReadsTheFineLabel) {
  const TemporaryFolder folder;
  const auto record = [](std::uint8_t coarse, std::uint8_t fine, std::uint32_t seed) {
    return std::string{static_cast<char>(coarse), static_cast<char>(fine)} + noise(3072, seed);
  };
  const Dataset dataset = read_cifar100({folder.write("train.bin", record(19, 99, 1) + record(4, 0, 2))});
  EXPECT_EQ(dataset.image, Shape({3, 32, 32}));
  EXPECT_EQ(dataset.classes, 100);
  EXPECT_THAT(dataset.labels, ElementsAre(99, 0));
  EXPECT_EQ(std::string(dataset.pixels.begin(), dataset.pixels.end()), noise(3072, 1) + noise(3072, 2));
  ASSERT_EQ(dataset.class_names.size(), 100u);
  EXPECT_EQ(dataset.class_names[0], "apple");
  EXPECT_EQ(dataset.class_names[99], "worm");
  const auto refusal = [&](const std::string& content) {
    return error_of([&] { read_cifar100({folder.write("train.bin", content)}); });
  };
  EXPECT_THAT(refusal(record(1, 100, 1)),
              HasSubstr("train.bin: label 100 in record 0 is not below the 100 classes"));
  EXPECT_THAT(refusal(cifar_record(1, 1)), HasSubstr("they are of CIFAR-10's"));
}

}  // namespace
}  // namespace convoy
