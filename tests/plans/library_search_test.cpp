// Where CUDA's libraries are looked for when the loader does not find them, and in which order.
#include "engine/backend/cuda/loading/library_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

using Variables = std::map<std::string, std::string>;

Environment environment_of(const Variables& variables) {
  return [&variables](const char* name) {
    const auto found = variables.find(name);
    return found != variables.end() ? found->second.c_str() : nullptr;
  };
}

std::ptrdiff_t position(const std::vector<std::string>& patterns, const std::string& pattern) {
  const auto found = std::ranges::find(patterns, pattern);
  EXPECT_NE(found, patterns.end()) << pattern;
  return found - patterns.begin();
}

class LibrarySearch : public testing::Test {
 protected:
  // Makes the file, and returns its path.
  std::string make(const std::string& file) {
    const std::filesystem::path path = folder_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "library";
    return path.string();
  }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
};

TEST_F(LibrarySearch, TakesNamedFoldersThenPythonThenToolkits) {
  const Variables variables = {{"CONVOY_CUDA_LIBS", ":/a::/b:"},
                               {"VIRTUAL_ENV", "/venv"},
                               {"HOME", "/home/someone"},
                               {"CUDA_HOME", "/toolkit"},
                               {"PATH", ""}};
  EXPECT_THAT(named_library_folders(environment_of(variables)), ElementsAre("/a", "/b"));
  const auto patterns = library_patterns(environment_of(variables));
  const std::string order[] = {"/a",
                               "/b",
                               "/venv/lib/python3*/site-packages/nvidia/*/lib",
                               "/home/someone/.local/lib/python3*/site-packages/nvidia/*/lib",
                               "/usr/lib/python3*/dist-packages/nvidia/*/lib",
                               "/toolkit/lib64",
                               "/usr/local/cuda/lib64",
                               "/usr/local/cuda-13*/targets/*-linux/lib"};
  for (std::size_t i = 1; i < std::size(order); ++i) {
    EXPECT_LT(position(patterns, order[i - 1]), position(patterns, order[i]));
  }
}

TEST_F(LibrarySearch, NeedsNoVariables) {
  const Variables none;
  EXPECT_TRUE(named_library_folders(environment_of(none)).empty());
  EXPECT_THAT(library_patterns(environment_of(none)), Contains("/usr/local/cuda/lib64"));
}

TEST_F(LibrarySearch, KnowsThePythonsOnPath) {
  make("with/bin/python3");
  make("without/bin/perl");
  const Variables variables = {{"PATH", at("without/bin") + ":" + at("with/bin")}};
  const auto patterns = library_patterns(environment_of(variables));
  EXPECT_THAT(patterns, Contains(at("with/lib/python3*/site-packages/nvidia/*/lib")));
  EXPECT_THAT(patterns, Not(Contains(at("without/lib/python3*/site-packages/nvidia/*/lib"))));
}

TEST_F(LibrarySearch, FindsTheFirstFileInTheOrderOfThePatterns) {
  const std::string packaged = make("venv/lib/python3.12/site-packages/nvidia/cu13/lib/libx.so.13");
  const std::string installed = make("toolkit/lib64/libx.so.13");
  const std::string packages = at("venv/lib/python3*/site-packages/nvidia/*/lib");
  EXPECT_EQ(find_library("libx.so.13", {at("nowhere"), packages, at("toolkit/lib64")}), packaged);
  EXPECT_EQ(find_library("libx.so.13", {at("toolkit/lib64"), packages}), installed);
  EXPECT_EQ(find_library("liby.so.13", {packages, at("toolkit/lib64")}), "");
}

}  // namespace
}  // namespace convoy
