#include "engine/core/atomic_file.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

#include "convoy/error.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using testing::HasSubstr;

class AtomicFile : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "file";
};

TEST_F(AtomicFile, WritesAndReplaces) {
  write_atomically(file_, std::string_view("first\0content", 13));
  EXPECT_EQ(read_file(file_), std::string_view("first\0content", 13));
  write_atomically(file_, "");
  EXPECT_EQ(read_file(file_), "");
  EXPECT_EQ(folder_.files(), 1);
}

TEST_F(AtomicFile, TheCallerWritesTheTemporaryBesideTheFile) {
  write_file(file_, "old");
  write_atomically(file_, [&](const std::filesystem::path& temporary) {
    EXPECT_EQ(temporary.parent_path(), std::filesystem::canonical(folder_.path()));
    EXPECT_EQ(read_file(file_), "old");
    write_file(temporary, "new");
  });
  EXPECT_EQ(read_file(file_), "new");
  EXPECT_EQ(folder_.files(), 1);
}

TEST_F(AtomicFile, AFileInTheWorkingFolderNeedsNoFolderInItsName) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  write_atomically("bare", "content");
  std::filesystem::current_path(before);
  EXPECT_EQ(read_file(folder_ / "bare"), "content");
}

TEST_F(AtomicFile, PermissionsFollowTheUmask) {
  const mode_t before = ::umask(027);
  write_atomically(file_, "content");
  ::umask(before);
  EXPECT_EQ(std::filesystem::status(file_).permissions(), std::filesystem::perms{0640});
}

TEST_F(AtomicFile, ALinkKeepsPointingAtTheFile) {
  write_file(file_, "old");
  std::filesystem::create_symlink("file", folder_ / "link");
  write_atomically(folder_ / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ / "link"));
  EXPECT_EQ(read_file(file_), "new");
}

TEST_F(AtomicFile, AThrowingWriterLeavesTheOldFile) {
  write_file(file_, "old");
  const auto failing = [&](const std::filesystem::path& temporary) {
    write_file(temporary, "half of the new");
    throw std::runtime_error("the writer's own");
  };
  EXPECT_THROW(write_atomically(file_, failing), std::runtime_error);
  EXPECT_EQ(read_file(file_), "old");
  EXPECT_EQ(folder_.files(), 1);
}

TEST_F(AtomicFile, PartsFollowEachOther) {
  write_atomically_in_parts(file_, [&](const auto& append) {
    for (const char* part : {"one", "", " and two"}) append(part);
    EXPECT_FALSE(std::filesystem::exists(file_));
  });
  EXPECT_EQ(read_file(file_), "one and two");
  const auto failing = [](const auto& append) {
    append("half");
    throw Error("no more");
  };
  EXPECT_EQ(error_of([&] { write_atomically_in_parts(file_, failing); }), "no more");
  EXPECT_EQ(read_file(file_), "one and two");
  EXPECT_EQ(folder_.files(), 1);
}

TEST_F(AtomicFile, AWriterThatRemovesTheTemporaryIsAnError) {
  write_file(file_, "old");
  EXPECT_THAT(error_of([&] {
                write_atomically(file_, [](const std::filesystem::path& temporary) {
                  std::filesystem::remove(temporary);
                });
              }),
              HasSubstr("cannot write " + file_.string() + ": open for fsync: No such file"));
  EXPECT_EQ(read_file(file_), "old");
}

TEST_F(AtomicFile, AFullDiskLeavesTheOldFile) {
  write_file(file_, "old");
  // A limit on the size of files stands in for a full disk: the write comes up short, then fails.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{.rlim_cur = 1000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::string message;
  try {
    write_atomically(file_, std::string(5000, 'x'));
  } catch (const Error& error) {
    message = error.what();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(message, "cannot write " + file_.string() + ": write: File too large");
  EXPECT_EQ(read_file(file_), "old");
  EXPECT_EQ(folder_.files(), 1);
}

TEST_F(AtomicFile, AnUnwritableFolderIsAnError) {
  write_file(file_, "old");
  std::filesystem::permissions(folder_.path(), std::filesystem::perms{0555});
  const bool root = ::geteuid() == 0;
  constexpr uid_t kNobody = 65534;
  if (root && ::seteuid(kNobody) != 0) GTEST_SKIP() << "root cannot become another user here";
  const std::string message = error_of([&] { write_atomically(file_, "new"); });
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  std::filesystem::permissions(folder_.path(), std::filesystem::perms{0755});
  EXPECT_THAT(message, HasSubstr("Permission denied"));
  EXPECT_THAT(message, HasSubstr("no new file in " + folder_.path().string()));
  EXPECT_EQ(read_file(file_), "old");
  EXPECT_EQ(folder_.files(), 1);
}

TEST_F(AtomicFile, RefusesWhatIsNoRegularFile) {
  EXPECT_THAT(error_of([&] { write_atomically(folder_.path(), "x"); }), HasSubstr("it is a folder"));
  EXPECT_THAT(error_of([&] { write_atomically(folder_ / "no/file", "x"); }),
              HasSubstr("No such file or directory"));
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { write_atomically(file_, "x"); }), HasSubstr("it is not a regular file"));
  EXPECT_THAT(error_of([] { write_atomically("/dev/full", "x"); }), HasSubstr("it is not a regular file"));
  EXPECT_EQ(folder_.files(), 1);
}

}  // namespace
}  // namespace convoy
