// The output of `convoy train --seeds`: a line for each seed that is done, and a table of all.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/convoy/terminal.h"
#include "apps/convoy/train_report.h"

namespace convoy {

/// What has become of one seed.
struct SeedOutcome {
  std::uint64_t seed = 0;
  std::filesystem::path folder;
  Json results = {};     // as run.json has them; null: it has none
  std::string failure;   // why not, in words
  bool earlier = false;  // it had finished before
};

/// Tells of all seeds on one screen. The reports that it makes belong to one thread at a time.
class SeedScreen {
 public:
  /// `words` are the seeds and how many are trained at once, for people. `shared`: several are, so that the
  /// time of each is also that of the others' work.
  SeedScreen(bool json, std::size_t seeds, bool shared, std::string words);

  /// The report of one training. This must outlive it.
  std::unique_ptr<TrainReport> report_of(std::uint64_t seed);

  /// One is done, or has failed, or was there before.
  void finished(const SeedOutcome& outcome);

  /// The table, and the mean of those that have results.
  void all(const std::vector<SeedOutcome>& outcomes, double seconds);

 private:
  class TextReport;

  void begin(const Json& record);
  void draw(std::uint64_t seed, const Progress& progress);
  void line(const std::string& text);

  bool json_;
  std::size_t seeds_;
  bool shared_;
  std::string words_;
  bool begun_ = false;
  ProgressBar bar_;
  std::map<std::uint64_t, double> fractions_;  // of each seed that has begun
};

}  // namespace convoy
