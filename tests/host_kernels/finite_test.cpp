#include "kernels/finite.h"

#include <cmath>

#include "tests/host_kernels/support.h"

namespace convoy::kernels {
namespace {

class CheckFinite : public testing::TestWithParam<DType> {
 protected:
  CheckFinite() { reset_finite_report(&report_, nullptr); }
  void check(Elements values, std::int32_t operation, std::int64_t step) {
    check_finite({.values = values.data(),
                  .dtype = values.dtype(),
                  .count = static_cast<std::int64_t>(values.size()),
                  .operation = operation,
                  .step = &step,
                  .report = &report_},
                 nullptr);
  }
  FiniteReport report_{123, 456};
};

TEST_P(CheckFinite, FiniteValuesReportNothing) {
  for (const std::int64_t count : {0, 1, 4, 9, 3000}) {
    check(Elements(GetParam(), uniform(count, -1e30, 1e30, 1)), 1, 1);
  }
  EXPECT_EQ(report_.operation, kAllFinite);
}

TEST_P(CheckFinite, FindsEveryKindAtEveryPlace) {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    for (const std::size_t at : {0, 5, 1023, 2048, 2050}) {  // packs, a second block, the tail
      Elements values(GetParam(), std::vector<float>(2051, 1.0f));
      values.set(at, bad);
      for (const auto order :
           {host_cuda::Order::ascending, host_cuda::Order::descending, host_cuda::Order::shuffled}) {
        host_cuda::set_order(order);
        reset_finite_report(&report_, nullptr);
        check(values, 7, 0x100000002);
        EXPECT_EQ(report_.operation, 7) << bad << " at " << at;
        EXPECT_EQ(report_.step, 0x100000002);
      }
    }
  }
  host_cuda::set_order(host_cuda::Order::ascending);
}

TEST_P(CheckFinite, TheFirstOperationKeepsTheReport) {
  const Elements good(GetParam(), std::vector<float>(10, 1.0f));
  const Elements bad(GetParam(), std::vector<float>(3000, NAN));
  check(good, 1, 5);
  check(bad, 2, 5);
  check(bad, 3, 5);
  check(bad, 1, 6);
  EXPECT_EQ(report_.operation, 2);
  EXPECT_EQ(report_.step, 5);
}

INSTANTIATE_TEST_SUITE_P(, CheckFinite, testing::ValuesIn(kDTypes),
                         [](const auto& dtype) { return dtype.param == DType::float32 ? "fp32" : "bf16"; });

}  // namespace
}  // namespace convoy::kernels
