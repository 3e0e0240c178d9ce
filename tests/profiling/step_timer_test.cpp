// The clock and the JSON line of compare.py's workers in C++; compare_test.py has the same for Python.
#include "profiling/bench/peers/step_timer.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace step_timer {
namespace {

Job parse_words(std::vector<std::string> words) {
  words.insert(words.begin(), "worker");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return parse(static_cast<int>(argv.size()), argv.data());
}

std::size_t count(const std::string& text, char what) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), what));
}

TEST(StepTimer, ReadsTheJob) {
  const Job job = parse_words({"--threads", "2", "--steps", "7", "--warmup", "3", "--batch-size", "100",
                               "--seconds", "1.5", "fp32+fused", "bf16"});
  EXPECT_EQ(job.threads, 2);
  EXPECT_EQ(job.steps, 7U);
  EXPECT_EQ(job.warmup, 3U);
  EXPECT_EQ(job.batch_size, 100);
  EXPECT_EQ(job.seconds, 1.5);
  EXPECT_EQ(job.variants, (std::vector<std::string>{"fp32+fused", "bf16"}));
}

TEST(StepTimer, DoesNotTimeTheWarmup) {
  Job job;
  job.steps = 7;
  job.warmup = 2;
  job.seconds = 60;
  int calls = 0;
  const std::string json = time_steps(job, [&] { return 100.0 - calls++; });
  EXPECT_EQ(calls, 9);
  EXPECT_EQ(count(json, ','), 6U + 1U + 1U) << json;  // between 7 times, 2 losses, and these lists
  EXPECT_NE(json.find("\"losses\": [100, 92]}"), std::string::npos) << json;
}

TEST(StepTimer, EndsSlowStepsEarly) {
  Job job;
  job.steps = 100;
  job.warmup = 1;
  job.seconds = 0;
  std::size_t calls = 0;
  time_steps(job, [&] {
    ++calls;
    return 0.0;
  });
  EXPECT_EQ(calls, 1 + kLeastSteps);
}

TEST(StepTimer, PrintsNullForWhatDoesNotRun) {
  const Job job = parse_words({"fp32+a", "bf16+a"});
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = serve(job, "9.9", [](const Job&, const Words& words) -> std::string {
    if (words.count("bf16") != 0) throw std::runtime_error("no such type");
    return words == Words{"a", "fp32"} ? "{}" : "wrong words";
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "{\"version\": \"9.9\", \"runs\": [{}, null]}\n");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "bf16+a: no such type\n");
}

TEST(StepTimer, MakesABatchOfImagesAndClasses) {
  const auto [images, labels] = random_batch(3);
  EXPECT_EQ(images.size(), 3U * 28 * 28);
  ASSERT_EQ(labels.size(), 3U);
  EXPECT_TRUE(std::all_of(images.begin(), images.end(), [](float pixel) { return pixel >= 0 && pixel < 1; }));
  EXPECT_TRUE(std::all_of(labels.begin(), labels.end(), [](int label) { return label >= 0 && label < 10; }));
}

}  // namespace
}  // namespace step_timer
