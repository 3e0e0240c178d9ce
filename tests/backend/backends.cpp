#include "tests/backend/backends.h"

#include <algorithm>
#include <cmath>

#include "engine/backend/cpu/cpu.h"
#include "engine/backend/cuda/cuda.h"
#include "engine/backend/reference/reference.h"

namespace convoy {

std::vector<BackendFactory> available_backends() {
  std::vector<BackendFactory> backends = {{"reference", [] { return make_reference_backend(); }},
                                          {"reference-double", make_double_reference_backend}};
  if (cpu_backend_missing().empty()) backends.push_back({"cpu", [] { return make_cpu_backend(); }});
  if (cuda_backend_missing().empty()) {
    backends.push_back({.name = "cuda",
                        .make = [] { return make_cuda_backend({.precision = Precision::fp32}); },
                        .sees_device_data = false});
  }
  return backends;
}

std::string backend_name(const testing::TestParamInfo<BackendFactory>& info) {
  std::string name = info.param.name;
  std::ranges::replace(name, '-', '_');
  return name;
}

std::ostream& operator<<(std::ostream& out, const BackendFactory& factory) { return out << factory.name; }

double BackendTest::sum_tolerance(std::int64_t length) const {
  return 4 * backend_->epsilon() * std::sqrt(static_cast<double>(length));
}

std::unique_ptr<Backend> BackendTest::truth_backend() { return make_double_reference_backend(); }

namespace {

TEST(AvailableBackends, IncludeTheCpu) {
  const std::string why = cpu_backend_missing();
  if (!why.empty()) GTEST_SKIP() << "nothing is tested on the CPU backend: " << why;
  EXPECT_EQ(make_cpu_backend()->name(), "cpu");
}

TEST(AvailableBackends, IncludeTheGpu) {
  const std::string why = cuda_backend_missing();
  if (!why.empty()) GTEST_SKIP() << "the CUDA backend is tested on the software GPU only: " << why;
  EXPECT_EQ(make_cuda_backend({})->name(), "cuda");
}

TEST_P(BackendTest, KnowsItsNameAndPrecision) {
  EXPECT_EQ(backend().name(), GetParam().name);
  EXPECT_FALSE(backend().description().empty());
  EXPECT_EQ(backend().epsilon(), GetParam().name == "reference-double" ? 0x1p-52 : 0x1p-23);
}

INSTANTIATE_TEST_SUITE_P(, BackendTest, testing::ValuesIn(available_backends()), backend_name);

}  // namespace
}  // namespace convoy
