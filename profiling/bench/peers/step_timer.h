// What the workers in C++ share: the job on their command line, the clock, and the JSON line that they end
// with. The protocol is described in step_timer.py.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace step_timer {

constexpr std::size_t kLeastSteps = 3;  // however slow a step is

/// What to do; `seconds` limits the timed steps of a variant.
struct Job {
  int threads = 1;
  std::size_t steps = 1;
  std::size_t warmup = 1;
  int batch_size = 1;
  double seconds = 1;
  std::vector<std::string> variants;
};

using Words = std::set<std::string>;

/// The times of one variant. `tick` is called before every step and says whether there is to be one.
class Stopwatch {
 public:
  explicit Stopwatch(const Job& job) : job_(job) {}

  bool tick() {
    const auto now = std::chrono::steady_clock::now();
    if (calls_ > job_.warmup) {
      seconds_.push_back(std::chrono::duration<double>(now - begin_).count());
      total_ += seconds_.back();
    }
    ++calls_;
    const bool goes_on =
        seconds_.size() < job_.steps && (seconds_.size() < kLeastSteps || total_ < job_.seconds);
    begin_ = std::chrono::steady_clock::now();
    return goes_on;
  }

  /// The run as JSON, with the loss of the first and of the last step.
  std::string json(double first_loss, double last_loss) const {
    std::ostringstream text;
    text << "{\"seconds\": [";
    for (std::size_t i = 0; i < seconds_.size(); ++i) text << (i == 0 ? "" : ", ") << seconds_[i];
    text << "], \"losses\": [" << first_loss << ", " << last_loss << "]}";
    return text.str();
  }

 private:
  const Job& job_;
  std::size_t calls_ = 0;
  std::vector<double> seconds_;
  double total_ = 0;
  std::chrono::steady_clock::time_point begin_;
};

/// Times a function that makes one whole step and returns its loss.
inline std::string time_steps(const Job& job, const std::function<double()>& step) {
  Stopwatch watch(job);
  double first = 0;
  double last = 0;
  for (bool is_first = true; watch.tick(); is_first = false) {
    last = step();
    if (is_first) first = last;
  }
  return watch.json(first, last);
}

/// The random batch: 28 x 28 images with values in [0, 1), and class numbers below 10.
inline std::pair<std::vector<float>, std::vector<int>> random_batch(int batch_size) {
  std::mt19937 random(1);
  std::vector<float> images(static_cast<std::size_t>(batch_size) * 28 * 28);
  std::vector<int> labels(static_cast<std::size_t>(batch_size));
  std::generate(images.begin(), images.end(),
                [&] { return std::uniform_real_distribution<float>(0, 1)(random); });
  std::generate(labels.begin(), labels.end(),
                [&] { return std::uniform_int_distribution<int>(0, 9)(random); });
  return {images, labels};
}

inline Job parse(int argc, char** argv) {
  Job job;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name.rfind("--", 0) != 0) {
      job.variants.push_back(name);
      continue;
    }
    const char* value = ++i < argc ? argv[i] : "";
    if (name == "--threads") job.threads = std::atoi(value);
    if (name == "--steps") job.steps = std::strtoul(value, nullptr, 10);
    if (name == "--warmup") job.warmup = std::strtoul(value, nullptr, 10);
    if (name == "--batch-size") job.batch_size = std::atoi(value);
    if (name == "--seconds") job.seconds = std::atof(value);
  }
  return job;
}

/// Runs every variant by `run`, which returns its JSON or throws where it cannot. Returns the exit code.
inline int serve(const Job& job, const std::string& version,
                 const std::function<std::string(const Job&, const Words&)>& run) {
  std::string runs;
  for (const std::string& variant : job.variants) {
    Words words;
    std::istringstream text(variant);
    for (std::string word; std::getline(text, word, '+');) words.insert(word);
    std::string result = "null";
    try {
      result = run(job, words);
    } catch (const std::exception& error) {
      std::cerr << variant << ": " << error.what() << '\n';
    }
    runs += (runs.empty() ? "" : ", ") + result;
  }
  std::cout << "{\"version\": \"" << version << "\", \"runs\": [" << runs << "]}" << std::endl;
  return 0;
}

}  // namespace step_timer
