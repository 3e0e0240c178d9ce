#include "engine/core/standard_input.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>

#include "tests/temporary_folder.h"

namespace convoy {
namespace {

/// Gives the test's standard input back.
class StandardInput : public testing::Test {
 protected:
  ~StandardInput() override {
    dup2(before_, STDIN_FILENO);
    close(before_);
  }

  static void open_as_input(const char* path) {
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    ASSERT_GE(descriptor, 0);
    dup2(descriptor, STDIN_FILENO);
    close(descriptor);
  }

  const int before_ = dup(STDIN_FILENO);
};

TEST_F(StandardInput, IsReadToItsEndFromAPipe) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  dup2(ends[0], STDIN_FILENO);
  close(ends[0]);
  const std::string sent(200'000, 'x');  // more than a pipe holds
  std::thread writer([&] {
    std::size_t done = 0;
    while (done < sent.size()) {
      const ssize_t put = write(ends[1], sent.data() + done, sent.size() - done);
      if (put < 0) break;
      done += static_cast<std::size_t>(put);
    }
    close(ends[1]);
  });
  EXPECT_EQ(read_standard_input(1 << 20), sent);
  writer.join();
  EXPECT_EQ(read_standard_input(1 << 20), "") << "at its end";
}

TEST_F(StandardInput, WithoutAnEndIsRefused) {
  open_as_input("/dev/zero");
  EXPECT_EQ(error_of([] { read_standard_input(1 << 20); }),
            "cannot read standard input: it does not end within 1048576 bytes");
}

TEST_F(StandardInput, ThatIsAFolderIsRefused) {
  open_as_input("/");
  EXPECT_EQ(error_of([] { read_standard_input(1 << 20); }), "cannot read standard input: Is a directory");
}

}  // namespace
}  // namespace convoy
