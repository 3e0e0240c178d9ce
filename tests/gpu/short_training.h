// A training that takes a GPU no time and a software GPU little: 38 made-up images of 8x8 in two classes.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "convoy/dataset.h"
#include "convoy/trainer.h"
#include "engine/backend/cuda/cuda.h"

namespace convoy::test {

/// `count` images of 8x8: upright stripes and level ones in turn, under noise.
Dataset stripes(std::int64_t count);

struct Trained {
  StateDict state;
  Evaluation evaluation;
  std::vector<std::string> said;
};

/// The ConvNet on CUDA: three epochs of three full batches of 10 and a ragged one. In fp32, unless the
/// options name a precision.
Trained train_on_stripes(DeviceOptions options, TrainOptions training = {});

/// "fp32": the suffix of a test's name.
std::string precision_name(const testing::TestParamInfo<Precision>& info);

}  // namespace convoy::test
