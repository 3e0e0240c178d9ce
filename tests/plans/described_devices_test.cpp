// The data sheets' peaks against the descriptions: who mistypes one of them is found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "convoy/error.h"
#include "engine/backend/cuda/described/described.h"

namespace convoy {
namespace {

TEST(DescribedDevices, HaveTheArithmeticOfTheirMultiprocessors) {
  for (const std::string& name : described_devices()) {
    const DescribedDevice& device = described_device(name);
    const auto properties = nlohmann::json::parse(device.properties);
    const int sm = properties["deviceVer"].get<int>() / 10;
    const double lanes = sm == 75 || sm == 80 ? 64.0 : 128.0;  // fp32 units of a multiprocessor
    const double ghz = properties["smClockRateKHz"].get<double>() / 1e6;
    const double gflops = 2.0 * lanes * ghz * properties["multiProcessorCount"].get<double>();
    EXPECT_NEAR(device.fp32.gflops, gflops, 0.02 * gflops) << name;
  }
}

TEST(DescribedDevices, AreFasterWithLessPrecision) {
  for (const std::string& name : described_devices()) {
    const DescribedDevice& device = described_device(name);
    EXPECT_EQ(&device.peak(Precision::bf16), &device.bf16);
    if (device.bf16.gflops == 0.0) continue;
    EXPECT_LE(device.fp32.gflops, device.tf32.gflops) << name;
    EXPECT_NEAR(device.bf16.gflops, 2.0 * device.tf32.gflops, 0.03 * device.bf16.gflops) << name;
    EXPECT_EQ(device.bf16.gigabytes_per_second, device.fp32.gigabytes_per_second) << name;
  }
}

TEST(DescribedDevices, AreKnownByName) {
  EXPECT_THAT(described_devices(), testing::ElementsAre("a100", "b200", "h100", "rtx4090", "t4"));
  try {
    described_device("h1000");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "unknown device 'h1000': known are a100, b200, h100, rtx4090, t4");
  }
}

}  // namespace
}  // namespace convoy
