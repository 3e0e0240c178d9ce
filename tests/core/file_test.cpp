#include "engine/core/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>

#include "tests/temporary_folder.h"

namespace convoy {
namespace {

class InputFileTest : public testing::Test {
 protected:
  std::string refusal(const std::filesystem::path& path) {
    return error_of([&] { const InputFile file(path); });
  }

  TemporaryFolder folder_;
};

TEST_F(InputFileTest, ReadsFromTheBeginningAndAgain) {
  write_file(folder_ / "f", "abcdef");
  InputFile file(folder_ / "f");
  EXPECT_EQ(file.bytes(), 6);
  std::array<std::uint8_t, 4> start{};
  EXPECT_EQ(file.read(start), 4u);
  EXPECT_EQ(start, (std::array<std::uint8_t, 4>{'a', 'b', 'c', 'd'}));
  EXPECT_EQ(file.read(start), 2u);
  file.rewind();
  EXPECT_EQ(file.read_text(3), "abc");
  file.rewind();
  EXPECT_EQ(file.read_text(std::int64_t{1} << 62), "abcdef");
}

// Opening a FIFO waits for a writer, and reading /dev/zero never ends: the test would run into its time
// limit.
TEST_F(InputFileTest, RefusesWhatIsNoRegularFile) {
  EXPECT_EQ(refusal(folder_ / "none"),
            "cannot read " + (folder_ / "none").string() + ": No such file or directory");
  EXPECT_EQ(refusal(folder_.path()),
            "cannot read " + folder_.path().string() + ": it is a folder, not a regular file");
  const std::string fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(refusal(fifo), "cannot read " + fifo + ": it is a FIFO, not a regular file");
  std::filesystem::create_symlink(fifo, folder_ / "link");
  EXPECT_EQ(refusal(folder_ / "link"),
            "cannot read " + (folder_ / "link").string() + ": it is a FIFO, not a regular file");
  EXPECT_EQ(refusal("/dev/zero"), "cannot read /dev/zero: it is a device, not a regular file");
}

TEST_F(InputFileTest, RefusesToWriteToAFifoThatNobodyReads) {
  const std::string fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { open_regular(fifo, O_WRONLY | O_CREAT, "write"); }),
            "cannot write " + fifo + ": it is a FIFO, not a regular file");
}

TEST_F(InputFileTest, RefusesASocket) {
  const std::string name = folder_ / "socket";
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_LT(name.size(), sizeof address.sun_path);
  std::ranges::copy(name, address.sun_path);
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(refusal(name), "cannot read " + name + ": it is a socket, not a regular file");
}

}  // namespace
}  // namespace convoy
