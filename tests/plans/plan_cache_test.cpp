// Finished plans on disk: what comes back, and what is never trusted. The plans are made up, cuDNN has no
// part in this.
#include "engine/backend/cuda/dnn/plan_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "engine/backend/cuda/cuda.h"
#include "tests/temporary_folder.h"

namespace convoy::cuda::dnn {
namespace {

namespace fs = std::filesystem;

class PlanCacheTest : public testing::Test {
 protected:
  PlanKey key(const std::string& signature = "conv2d.fprop|1:0:0:[1, 2, 3, 4]") const {
    return {.cudnn_version = 91900, .device = "{\"deviceVer\": 900}", .signature = signature, .policy = {}};
  }

  Plan plan(const std::string& json = "{\"engine\": 7}") const {
    return {.info = {.graph = "conv2d.fprop",
                     .engine = 7,
                     .workspace = 4096,
                     .launches = 3,
                     .naive = true,
                     .tensor_core = true,
                     .deterministic = false,
                     .runtime_compiled = true},
            .json = json};
  }

  /// The one file in the folder.
  fs::path file() const { return fs::directory_iterator(folder_.path())->path(); }

  TemporaryFolder folder_;
  PlanCache cache_{folder_.path()};
};

TEST_F(PlanCacheTest, GivesBackWhatWasStored) {
  EXPECT_FALSE(cache_.find(key()));
  cache_.store(key(), plan());
  const auto found = cache_.find(key());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->json, plan().json);
  EXPECT_EQ(found->info.graph, "conv2d.fprop");
  EXPECT_EQ(found->info.own_kernel, "");
  EXPECT_EQ(found->info.engine, 7);
  EXPECT_EQ(found->info.workspace, 4096);
  EXPECT_EQ(found->info.launches, 3);
  EXPECT_TRUE(found->info.naive);
  EXPECT_TRUE(found->info.tensor_core);
  EXPECT_FALSE(found->info.deterministic);
  EXPECT_TRUE(found->info.runtime_compiled);
  EXPECT_EQ(folder_.files(), 1) << "no temporary file stays behind";
}

TEST_F(PlanCacheTest, KeepsThatAnOwnKernelWon) {
  cache_.store(key(), {.info = {.graph = "conv2d.wgrad", .own_kernel = "weight gradient", .workspace = 64},
                       .json = ""});
  const auto found = cache_.find(key());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->info.own_kernel, "weight gradient");
  EXPECT_EQ(found->info.engine, -1);
  EXPECT_EQ(found->info.workspace, 64);
  EXPECT_EQ(found->json, "");
}

TEST_F(PlanCacheTest, TheLastStoredPlanWins) {
  cache_.store(key(), plan("{}"));
  cache_.store(key(), plan());
  EXPECT_EQ(cache_.find(key()).value().json, plan().json);
  EXPECT_EQ(folder_.files(), 1);
}

TEST_F(PlanCacheTest, CountsItsPlansAndNothingElse) {
  EXPECT_EQ(PlanCache::count(folder_ / "nowhere"), 0u);
  cache_.store(key(), plan());
  cache_.store(key("other"), plan());
  write_file(folder_ / "note.json", "{}");
  EXPECT_EQ(PlanCache::count(folder_.path()), 2u);
  EXPECT_EQ(PlanCache::count(folder_ / "note.json"), 0u);
}

TEST_F(PlanCacheTest, MakesItsFolder) {
  const PlanCache cache(folder_ / "a" / "b");
  cache.store(key(), plan());
  EXPECT_TRUE(cache.find(key()));
}

TEST_F(PlanCacheTest, EveryPartOfTheKeyCounts) {
  cache_.store(key(), plan());
  std::vector<PlanKey> others(8, key());
  others[0].cudnn_version = 91901;
  others[1].device = "{\"deviceVer\": 800}";
  others[2].signature += " ";
  others[3].policy.precision = Precision::tf32;
  others[4].policy.deterministic = false;
  others[5].policy.workspace_limit = 1;
  others[6].autotuned = true;
  ++others[7].planning_version;
  for (const PlanKey& other : others) EXPECT_FALSE(cache_.find(other)) << other.text();
}

// Whoever can write to the cache must not be able to make the program wait.
TEST_F(PlanCacheTest, DoesNotWaitForAFifo) {
  cache_.store(key(), plan());
  const auto file = std::filesystem::directory_iterator(folder_.path())->path();
  std::filesystem::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  EXPECT_FALSE(cache_.find(key()));
}

// As if two keys shared a file name, or somebody had renamed a file.
TEST_F(PlanCacheTest, AFileOfAnotherKeyIsNotTaken) {
  cache_.store(key("other"), plan());
  const fs::path other = file();
  const std::string content = read_file(other);
  fs::remove(other);
  cache_.store(key(), plan());
  write_file(file(), content);
  EXPECT_FALSE(cache_.find(key()));
}

TEST_F(PlanCacheTest, AFileCutAtAnyByteIsNotTaken) {
  cache_.store(key(), plan());
  const std::string whole = read_file(file());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_file(file(), whole.substr(0, size));
    EXPECT_FALSE(cache_.find(key())) << "cut after " << size << " bytes";
  }
}

// A workspace that was read too small would be overrun on the device, so the facts beside the plan count,
// too.
TEST_F(PlanCacheTest, AFileWithADamagedByteIsNotTaken) {
  cache_.store(key(), plan());
  const std::string whole = read_file(file());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    write_file(file(), damaged);
    EXPECT_FALSE(cache_.find(key())) << "byte " << i << ": " << damaged;
  }
}

TEST_F(PlanCacheTest, ForeignFilesAreNotTaken) {
  cache_.store(key(), plan());
  const auto entry = nlohmann::json::parse(read_file(file()));
  const auto changed = [&](const char* name, const nlohmann::json& value) {
    nlohmann::json copy = entry;
    copy[name] = value;
    return copy.dump();
  };
  const std::vector<std::string> contents = {
      "",
      "\n",
      "null",
      "[]",
      "7",
      "\"text\"",
      "{}",
      std::string(3, '\0'),
      "\xff\xfe",
      changed("format", 2),
      changed("format", "1"),
      changed("plan", 7),
      changed("plan", "{\"engine\": 8}"),
      changed("digest", 1),
      changed("info", nullptr),
      changed("info", {{"graph", 7}}),
  };
  for (const std::string& content : contents) {
    write_file(file(), content);
    EXPECT_FALSE(cache_.find(key())) << content;
  }
  cache_.store(key(), plan());  // planned anew, it is replaced
  EXPECT_TRUE(cache_.find(key()));
}

TEST_F(PlanCacheTest, WhatCannotBeReadOrWrittenIsSilent) {
  const PlanCache none{fs::path{}};
  none.store(key(), plan());
  EXPECT_FALSE(none.find(key()));

  write_file(folder_ / "file", "in the way");
  const PlanCache blocked(folder_ / "file" / "below");
  blocked.store(key(), plan());
  EXPECT_FALSE(blocked.find(key()));
  EXPECT_EQ(read_file(folder_ / "file"), "in the way");

  fs::remove(folder_ / "file");
  cache_.store(key(), plan());
  const fs::path taken = file();
  fs::remove(taken);
  fs::create_directories(taken / "a folder where the file should be");
  cache_.store(key(), plan());
  EXPECT_FALSE(cache_.find(key()));
}

TEST_F(PlanCacheTest, ThreadsMayStoreAndFindAtOnce) {
  constexpr int kRounds = 20;
  const auto work = [&](const std::string& own) {
    const PlanKey shared = key();
    for (int round = 0; round < kRounds; ++round) {
      cache_.store(key(own + std::to_string(round)), plan(own));
      cache_.store(shared, plan(own));
      const auto found = cache_.find(shared);
      ASSERT_TRUE(found) << "a file is there whole or in its earlier state, never half";
      EXPECT_TRUE(found->json == "first" || found->json == "second");
    }
  };
  {
    const std::jthread other([&] { work("second"); });
    work("first");
  }
  for (const std::string own : {"first", "second"}) {
    for (int round = 0; round < kRounds; ++round) {
      EXPECT_EQ(cache_.find(key(own + std::to_string(round))).value().json, own);
    }
  }
  EXPECT_EQ(folder_.files(), 2 * kRounds + 1);
}

TEST(PlanCacheFolderTest, ComesFromTheEnvironment) {
  ASSERT_EQ(setenv("HOME", "/home/someone", 1), 0);
  ASSERT_EQ(setenv("XDG_CACHE_HOME", "/cache", 1), 0);
  ASSERT_EQ(setenv("CONVOY_CACHE", "/plans", 1), 0);
  EXPECT_EQ(default_plan_cache(), "/plans");
  setenv("CONVOY_CACHE", "", 1);
  EXPECT_EQ(default_plan_cache(), "/cache/convoy");
  unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(default_plan_cache(), "/home/someone/.cache/convoy");
  unsetenv("HOME");
  EXPECT_EQ(default_plan_cache(), "");
}

}  // namespace
}  // namespace convoy::cuda::dnn
