#include "convoy/fetch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>

#include <algorithm>
#include <stdexcept>

#include "convoy/error.h"
#include "tests/data/http_server.h"
#include "tests/data/support.h"

namespace convoy {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

const std::string kBody = noise(50000, 7);
const std::string kOther = noise(50000, 8);

class FetchTest : public testing::Test {
 protected:
  FetchTest() {
    options_.say = [this](const std::string& line) { said_.push_back(line); };
    file_ = {.name = "file",
             .urls = {server_.url("/a"), server_.url("/b")},
             .sha256 = "",
             .bytes = static_cast<std::int64_t>(kBody.size())};
    file_.sha256 = sha256_of(elsewhere_.write("body", kBody));
  }

  void get() { fetch({file_}, folder_.path(), options_); }
  std::string refusal() {
    return error_of([&] { get(); });
  }
  void expect_delivered() {
    EXPECT_EQ(read_file(folder_ / "file"), kBody);
    EXPECT_FALSE(fs::exists(folder_ / "file.part"));
  }

  TemporaryFolder folder_, elsewhere_;
  HttpServer server_;
  FetchOptions options_;
  RemoteFile file_;
  std::vector<std::string> said_;
};

TEST_F(FetchTest, DownloadsOnce) {
  server_.put("/a", {.body = kBody});
  get();
  expect_delivered();
  get();
  EXPECT_THAT(server_.requests(), ElementsAre(Request{"/a", ""}));
}

TEST_F(FetchTest, ReplacesAFileOfWrongContent) {
  folder_.write("file", kOther);
  EXPECT_THAT(refusal(), HasSubstr("cannot download file"));
  EXPECT_EQ(read_file(folder_ / "file"), kOther);
  server_.put("/a", {.body = kBody});
  get();
  expect_delivered();
}

TEST_F(FetchTest, FollowsARedirection) {
  server_.put("/a", {.body = "look there", .location = server_.url("/moved")});
  server_.put("/moved", {.body = kBody});
  folder_.write("file.part", kBody.substr(0, 12345));
  get();
  expect_delivered();
  EXPECT_EQ(server_.requests().back(), (Request{"/moved", "bytes=12345-"}));
}

TEST_F(FetchTest, GoesToTheNextMirror) {
  server_.put("/b", {.body = kBody});
  get();
  expect_delivered();
  EXPECT_THAT(said_, Contains(server_.url("/a") + ": HTTP status 404"));
}

TEST_F(FetchTest, NamesEveryMirrorThatFailed) {
  server_.put("/b", {.body = "", .status = 503});
  EXPECT_THAT(refusal(), AllOf(HasSubstr(server_.url("/a") + ": HTTP status 404"),
                               HasSubstr(server_.url("/b") + ": HTTP status 503")));
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(FetchTest, ResumesAPart) {
  folder_.write("file.part", kBody.substr(0, 12345));
  server_.put("/a", {.body = kBody});
  get();
  expect_delivered();
  EXPECT_THAT(server_.requests(), ElementsAre(Request{"/a", "bytes=12345-"}));
}

TEST_F(FetchTest, ACompletePartIsOnlyVerified) {
  folder_.write("file.part", kBody);
  get();
  expect_delivered();
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(FetchTest, TheNextMirrorContinuesWhereOneBreaksOff) {
  server_.put("/a", {.body = kBody, .breaks_off_after = 20000});
  server_.put("/b", {.body = kBody});
  get();
  expect_delivered();
  EXPECT_THAT(server_.requests(), ElementsAre(Request{"/a", ""}, Request{"/b", "bytes=20000-"}));
}

TEST_F(FetchTest, KeepsThePartForALaterRun) {
  server_.put("/a", {.body = kBody, .breaks_off_after = 20000});
  EXPECT_THAT(refusal(), HasSubstr("/a: "));
  EXPECT_EQ(read_file(folder_ / "file.part"), kBody.substr(0, 20000));
  server_.put("/a", {.body = kBody});
  get();
  expect_delivered();
}

TEST_F(FetchTest, AShortBodyIsContinuedToo) {
  server_.put("/a", {.body = kBody.substr(0, 30000)});
  server_.put("/b", {.body = kBody});
  get();
  expect_delivered();
  EXPECT_THAT(said_, Contains(server_.url("/a") + ": ends after 30000 of 50000 bytes"));
}

TEST_F(FetchTest, AMirrorThatIgnoresRangesStartsOver) {
  folder_.write("file.part", kBody.substr(0, 12345));
  server_.put("/a", {.body = kBody, .honours_range = false});
  get();
  expect_delivered();
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(FetchTest, AnotherRangeThanAskedForIsRefused) {
  folder_.write("file.part", kBody.substr(0, 12345));
  server_.put("/a", {.body = kBody, .range_error = 1});
  get();
  expect_delivered();
  EXPECT_THAT(server_.requests(), ElementsAre(Request{"/a", "bytes=12345-"}, Request{"/a", ""}));
}

TEST_F(FetchTest, ARangeThatCannotBeSatisfiedStartsOver) {
  file_.bytes = 0;  // with a known size the part would not be asked for
  folder_.write("file.part", kBody + "too much");
  server_.put("/a", {.body = kBody});
  get();
  expect_delivered();
}

TEST_F(FetchTest, ALeftoverOfOtherContentStartsOver) {
  folder_.write("file.part", kOther.substr(0, 12345));
  server_.put("/a", {.body = kBody});
  get();
  expect_delivered();
  EXPECT_THAT(server_.requests(), ElementsAre(Request{"/a", "bytes=12345-"}, Request{"/a", ""}));
}

TEST_F(FetchTest, AWrongChecksumDiscardsThePart) {
  server_.put("/a", {.body = kOther});
  EXPECT_THAT(refusal(), HasSubstr("/a: the file has the wrong checksum"));
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  server_.put("/b", {.body = kBody});
  get();
  expect_delivered();
  EXPECT_EQ(server_.requests().back(), (Request{"/b", ""}));
}

TEST_F(FetchTest, MoreThanExpectedIsRefused) {
  server_.put("/a", {.body = kBody + "x"});
  EXPECT_THAT(refusal(), HasSubstr("/a: sends more than the expected 50000 bytes"));
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(FetchTest, AClosedPortIsTriedOnce) {
  const std::string dead = fmt::format("http://127.0.0.1:{}/", closed_port());
  server_.put("/a", {.body = kBody});
  RemoteFile second = file_;
  second.name = "second";
  for (RemoteFile* file : {&file_, &second}) file->urls = {dead + file->name, server_.url("/a")};
  fetch({file_, second}, folder_.path(), options_);
  EXPECT_EQ(read_file(folder_ / "second"), kBody);
  EXPECT_THAT(said_, Contains(AllOf(HasSubstr(dead + "file: "), HasSubstr("connect"))));
  EXPECT_THAT(said_, Contains(dead + "second: the host did not answer before"));
}

TEST_F(FetchTest, AHostThatIsGoneCostsNoMoreThanTheTimeout) {
  const DeafHost deaf;
  options_.connect_timeout_s = 1;
  file_.urls[0] = deaf.url("/a");
  server_.put("/b", {.body = kBody});
  get();
  expect_delivered();
  EXPECT_THAT(said_, Contains(AllOf(HasSubstr(deaf.url("/a") + ": "), testing::ContainsRegex("[Tt]ime"))));
}

TEST_F(FetchTest, AHostThatFallsSilentIsGivenUp) {
  HttpServer silent;
  silent.put("/a", {.body = "", .silent = true});
  options_.stall_timeout_s = 1;
  file_.urls[0] = silent.url("/a");
  server_.put("/b", {.body = kBody});
  get();
  expect_delivered();
  EXPECT_THAT(said_, Contains(HasSubstr("too slow")));
}

TEST_F(FetchTest, OtherProtocolsAreRefused) {
  file_.urls = {"file://" + (elsewhere_ / "body").string()};
  EXPECT_THAT(refusal(), HasSubstr("rotocol"));
}

// What a full disk does to write(2), with EFBIG in the place of ENOSPC.
TEST_F(FetchTest, AFullDiskIsAClearErrorAndKeepsThePart) {
  server_.put("/a", {.body = kBody});
  signal(SIGXFSZ, SIG_IGN);
  rlimit whole{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &whole), 0);
  const rlimit small{.rlim_cur = 10000, .rlim_max = whole.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = refusal();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &whole), 0);
  EXPECT_THAT(message, AllOf(HasSubstr("cannot write"), HasSubstr("file.part: File too large; make room")));
  EXPECT_EQ(read_file(folder_ / "file.part"), kBody.substr(0, 10000));
  get();
  expect_delivered();
}

TEST_F(FetchTest, AFileInTheWayOfTheFolderIsAnError) {
  const auto blocked = folder_.write("blocked", "") / "folder";
  EXPECT_THAT(error_of([&] { fetch({file_}, blocked, options_); }), HasSubstr("cannot create the folder"));
}

TEST_F(FetchTest, APartInOtherHandsIsLeftAlone) {
  folder_.write("file.part", "begun");
  const Descriptor other(open((folder_ / "file.part").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(flock(other.get(), LOCK_EX), 0);
  EXPECT_THAT(refusal(), HasSubstr("is being written by another process"));
  EXPECT_EQ(read_file(folder_ / "file.part"), "begun");
}

TEST_F(FetchTest, AnotherPlaceThroughALinkIsNotWritten) {
  const auto victim = elsewhere_.write("victim", "untouched");
  fs::create_symlink(victim, folder_ / "file.part");
  server_.put("/a", {.body = kBody});
  EXPECT_THAT(refusal(), HasSubstr("file.part"));
  EXPECT_EQ(read_file(victim), "untouched");
}

TEST_F(FetchTest, ReportsProgressInBytesOfTheWholeFile) {
  folder_.write("file.part", kBody.substr(0, 12345));
  server_.put("/a", {.body = kBody});
  std::int64_t last = 0;
  options_.progress = [&](const std::string& name, std::int64_t done, std::int64_t total) {
    EXPECT_EQ(name, "file");
    EXPECT_EQ(total, 50000);
    EXPECT_GE(done, std::max<std::int64_t>(last, 12345));
    last = done;
  };
  get();
  EXPECT_EQ(last, 50000);
}

TEST_F(FetchTest, WhatProgressThrowsComesThrough) {
  server_.put("/a", {.body = kBody});
  options_.progress = [](const std::string&, std::int64_t, std::int64_t) { throw std::logic_error("stop"); };
  EXPECT_THROW(get(), std::logic_error);
  EXPECT_FALSE(fs::exists(folder_ / "file"));
}

TEST_F(FetchTest, UnpacksAnArchiveOnce) {
  const std::string archive = tar_gz({{"d/a.bin", "aaaaa"}, {"d/b.bin", "bbb"}});
  server_.put("/a", {.body = archive});
  file_.sha256 = sha256_of(elsewhere_.write("archive", archive));
  file_.bytes = static_cast<std::int64_t>(archive.size());
  file_.members = {{"d/a.bin", 5}, {"d/b.bin", 3}};
  get();
  EXPECT_EQ(read_file(folder_ / "d/a.bin"), "aaaaa");
  EXPECT_FALSE(fs::exists(folder_ / "file"));
  get();
  EXPECT_EQ(server_.requests().size(), 1u);
  folder_.write("d/b.bin", "no");
  get();
  EXPECT_EQ(read_file(folder_ / "d/b.bin"), "bbb");
}

}  // namespace
}  // namespace convoy
