// A folder of small pictures, and what the library says of it.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "convoy/catalog.h"
#include "tests/data/support.h"

namespace convoy {

inline std::string pgm(int width, int height, const std::string& pixels) {
  return fmt::format("P5\n{} {}\n255\n{}", width, height, pixels);
}

/// A grey picture of one level.
inline std::string grey(int width, int height, char level) {
  return pgm(width, height, std::string(static_cast<std::size_t>(width * height), level));
}

/// One of one colour.
inline std::string coloured(int width, int height, const std::string& rgb) {
  std::string pixels;
  for (int i = 0; i < width * height; ++i) pixels += rgb;
  return fmt::format("P6\n{} {}\n255\n{}", width, height, pixels);
}

class PicturesTest : public testing::Test {
 protected:
  PicturesTest() {
    options_.say = [this](const std::string& line) { said_.push_back(line); };
  }

  /// Cats are of level 10 and 11, dogs of 20, both of 2 x 2 pixels.
  void write_halves(const std::string& test = "test") {
    for (const char* name : {"a", "b"}) {
      const char up = name[0] == 'b' ? 1 : 0;
      folder_.write(fmt::format("pets/train/cat/{}.pgm", name), grey(2, 2, static_cast<char>(10 + up)));
    }
    folder_.write("pets/train/dog/deep/c.pgm", grey(2, 2, 20));
    folder_.write("pets/" + test + "/cat/d.pgm", grey(2, 2, 10));
    folder_.write("pets/" + test + "/dog/e.pgm", grey(2, 2, 20));
  }

  DatasetPair pets() { return load("pictures", folder_ / "pets", options_); }
  std::string refusal() {
    return error_of([&] { pets(); });
  }

  TemporaryFolder folder_;
  LoadOptions options_;
  std::vector<std::string> said_;
};

}  // namespace convoy
