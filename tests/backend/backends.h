// Which backends the tests run on, and the fixture that hands them out.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "engine/backend/backend.h"

namespace convoy {

struct BackendFactory {
  std::string name;
  std::unique_ptr<Backend> (*make)();
  bool sees_device_data = true;  // throws for a bad label or a spent order; a GPU has them to itself
};

/// All that this build and this machine can run.
std::vector<BackendFactory> available_backends();

/// GoogleTest's name for a parameter: letters, digits and underscores.
std::string backend_name(const testing::TestParamInfo<BackendFactory>& info);

std::ostream& operator<<(std::ostream& out, const BackendFactory& factory);

/// One backend under test, fresh for every test, and the all-double reference to compare it with.
class BackendTest : public testing::TestWithParam<BackendFactory> {
 protected:
  Backend& backend() { return *backend_; }
  Backend& truth() { return *truth_; }

  /// The error allowed to a sum of `length` products, relative to the largest result: rounding errors of a
  /// sum walk at random, so they grow like the root of its length; 4 is for the largest of many results.
  double sum_tolerance(std::int64_t length) const;

 private:
  std::unique_ptr<Backend> backend_ = GetParam().make();
  std::unique_ptr<Backend> truth_ = truth_backend();
  static std::unique_ptr<Backend> truth_backend();
};

}  // namespace convoy
