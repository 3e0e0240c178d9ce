// What an evaluation finds.
#pragma once

#include <cstdint>

namespace convoy {

struct Evaluation {
  double loss = 0.0;      // mean
  double accuracy = 0.0;  // 0 to 1
  std::int64_t samples = 0;
};

}  // namespace convoy
