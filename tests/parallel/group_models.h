// What the tests of groups train, and on what.
#pragma once

#include <string>
#include <vector>

#include "convoy/model.h"
#include "tests/usable_backends.h"

namespace convoy {

inline constexpr std::int64_t kWholeBatch = 12;

inline Model without_norm() {
  return {"dropped",
          {1, 8, 8},
          {{"conv", Conv2d{.in_channels = 1, .out_channels = 4, .kernel_size = {3, 3}}},
           {"relu", ReLU{}},
           {"pool", MaxPool2d{.kernel_size = {2, 2}}},
           {"drop", Dropout{}},
           {"flatten", Flatten{}},
           {"fc", Linear{.in_features = 36, .out_features = 3}}}};
}

inline Model with_norm() {
  Model model = without_norm();
  model.layers.insert(model.layers.begin() + 1, {"norm", BatchNorm2d{4}});
  return model;
}

// A step's gradients are sums of at most 36 * 12 products in another order, each rounded to 2^-24 of what is
// about 1; with momentum 0.9 and a rate of 0.05 ten such steps add up to less than half of ten gradients'
// errors. A root of 432 products, ten steps, and 4 for the largest of many: 4 * 21 * 10 * 2^-24 / 2.
inline constexpr double kRounding = 4 * 21 * 5 * 0x1p-24;

// Of a GPU there is one a process: tests/software_gpu has processes.
inline std::vector<std::string> host_backends() {
  std::vector<std::string> names = usable_backends();
  std::erase(names, "cuda");
  return names;
}

}  // namespace convoy
