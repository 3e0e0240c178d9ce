// Every layer type and the ConvNet: the double reference against finite differences, every backend against
// it.
#include "engine/train/gradcheck.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <ostream>

#include "convoy/device.h"
#include "engine/backend/backend.h"
#include "tests/usable_backends.h"

namespace convoy {

void PrintTo(const GradcheckCase& c, std::ostream* out) { *out << c.name; }  // found by GoogleTest

namespace {

std::string test_name(const std::string& name) {
  std::string result;
  for (const char c : name) result += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return result;
}

class Gradcheck : public testing::TestWithParam<GradcheckCase> {};

TEST_P(Gradcheck, DifferencesAgreeToAMillionth) {
  const GradcheckResult result = check_against_differences(GetParam());
  EXPECT_DOUBLE_EQ(result.tolerance, 1e-6);
  EXPECT_LE(result.error, result.tolerance) << "in " << result.worst;
}

TEST_P(Gradcheck, EveryBackendAgreesWithTheDoubleReference) {
  for (const BackendStatus& status : backend_statuses()) {
    if (!status.usable) continue;
    const auto choice = make_exact_backend(status.name);
    const GradcheckResult result = check_against_reference(GetParam(), *choice.backend);
    EXPECT_LE(result.error, result.tolerance) << status.name << " in " << result.worst;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Gradcheck, testing::ValuesIn(gradcheck_cases()),
                         [](const auto& instance) { return test_name(instance.param.name); });

TEST(GradcheckResult, KeepsTheLargestErrorAndForgetsNoNan) {
  GradcheckResult result;
  result.tolerance = 1.0;
  result.keep_worst("a", 0.0);
  EXPECT_EQ(result.worst, "a");
  result.keep_worst("b", 0.5);
  result.keep_worst("c", 0.25);
  EXPECT_EQ(result.worst, "b");
  EXPECT_EQ(result.error, 0.5);
  EXPECT_TRUE(result.passed());
  result.keep_worst("d", std::nan(""));
  result.keep_worst("e", 2.0);
  EXPECT_EQ(result.worst, "d");
  EXPECT_FALSE(result.passed());
}

TEST(GradcheckCases, CoverEveryLayerType) {
  std::vector<std::string> seen;
  const auto note = [&](const auto& self, const std::vector<NamedLayer>& layers) -> void {
    for (const NamedLayer& named : layers) {
      seen.push_back(type_name(named.layer));
      if (const auto* residual = std::get_if<Residual>(&named.layer)) {
        self(self, residual->body);
        self(self, residual->shortcut);
      }
    }
  };
  for (const GradcheckCase& c : gradcheck_cases()) note(note, c.model.layers);
  for (const Layer& layer : layers_of_each_type()) {
    EXPECT_NE(std::ranges::find(seen, type_name(layer)), seen.end()) << type_name(layer);
  }
}

}  // namespace
}  // namespace convoy
