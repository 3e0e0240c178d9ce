#include "engine/data/parallel_for.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace convoy {
namespace {

TEST(ParallelFor, CallsEachOnce) {
  std::vector<std::atomic<int>> calls(1000);
  parallel_for(calls.size(), [&](std::size_t i) { ++calls[i]; });
  for (const auto& count : calls) EXPECT_EQ(count, 1);
  parallel_for(0, [](std::size_t) { FAIL() << "there is nothing to do"; });
}

TEST(ParallelFor, RethrowsTheFirstFailure) {
  std::atomic<std::size_t> begun = 0;
  const auto work = [&](std::size_t i) {
    ++begun;
    if (i == 20) std::this_thread::sleep_for(std::chrono::milliseconds(50));  // others fail before it does
    if (i >= 20) throw std::runtime_error(std::to_string(i));
  };
  try {
    parallel_for(100000, work);
    FAIL() << "it failed";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "20");
  }
  EXPECT_LT(begun, 100000u) << "it stopped";
}

TEST(ParallelFor, TellsProgressOnTheCallersThreadAndEndsByIt) {
  const auto caller = std::this_thread::get_id();
  std::vector<std::size_t> told;
  parallel_for(
      4, [](std::size_t) { std::this_thread::sleep_for(std::chrono::milliseconds(150)); },
      [&](std::size_t done) {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        told.push_back(done);
      });
  EXPECT_GE(told.size(), 3u) << "at the beginning, in between, and at the end";
  EXPECT_TRUE(std::ranges::is_sorted(told));
  EXPECT_EQ(told.back(), 4u);
  std::atomic<int> begun = 0;
  const auto slow = [&](std::size_t) {
    ++begun;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  EXPECT_THROW(parallel_for(100000, slow, [](std::size_t) { throw std::runtime_error("stop"); }),
               std::runtime_error);
  EXPECT_LT(begun, 100000);
}

}  // namespace
}  // namespace convoy
