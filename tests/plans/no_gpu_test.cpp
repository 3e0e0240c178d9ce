// The program on machines that cannot train on a GPU: without a driver, and with one that finds no GPU.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "engine/backend/cuda/cuda.h"
#include "tests/cli/program.h"
#include "tests/cli/test_data.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;

struct Machine {
  const char* name;
  const char* libraries;  // LD_LIBRARY_PATH
  const char* why;
  const char* finding;  // the doctor's
  const char* subject;  // of his advice
};

const Machine kMachines[] = {
    {"no driver", "",
     "no NVIDIA driver, or one older than this CUDA runtime: install a driver for CUDA 13 (580 or newer)",
     "CUDA driver      none (error 35)", "  CUDA driver: "},
    {"no GPU", CONVOY_NO_DEVICE_DRIVER,
     "the NVIDIA driver reports no GPU: see nvidia-smi and CUDA_VISIBLE_DEVICES",
     "GPUs             none (error 100)", "  GPUs: "},
};

void PrintTo(const Machine& machine, std::ostream* out) { *out << machine.name; }

bool has_driver() { return dlopen("libcuda.so.1", RTLD_LAZY) != nullptr; }

class NoGpuTest : public testing::TestWithParam<Machine> {
 protected:
  void SetUp() override {
    unsetenv("LD_LIBRARY_PATH");
    if (*GetParam().libraries == '\0' && has_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
    write_idx_data(folder_ / "digits");
    write_file(folder_ / "tiny.json", tiny_model_json());
  }

  Outcome train(const std::string& device) const {
    return run({"train", "--dataset", "idx", "--data", "digits", "--model", "tiny.json", "--epochs", "1",
                "--device", device},
               {folder_.path(), {{"LD_LIBRARY_PATH", GetParam().libraries}}});
  }

  TemporaryFolder folder_;
};

TEST_P(NoGpuTest, TrainingOnCudaIsRefusedInOneLine) {
  const Outcome outcome = train("cuda");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err, std::string("convoy: error: cuda: ") + GetParam().why + "; or take --device cpu\n");
}

TEST_P(NoGpuTest, AutoTakesTheNextBestDeviceAndSaysWhy) {
  const Outcome outcome = train("auto");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(std::string("because ") + GetParam().why));
}

TEST_P(NoGpuTest, FlagsOfCudaAreRefusedWhereAutoFindsNone) {
  const Outcome outcome = run({"gradcheck", "--device", "auto", "--autotune"},
                              {folder_.path(), {{"LD_LIBRARY_PATH", GetParam().libraries}}});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              testing::StartsWith("convoy: error: --autotune is the CUDA backend's; this is the "));
}

TEST_P(NoGpuTest, TheDoctorSaysWhatIsMissing) {
  const Outcome outcome = run({"doctor"}, {folder_.path(), {{"LD_LIBRARY_PATH", GetParam().libraries}}});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(GetParam().finding));
  EXPECT_THAT(outcome.out, HasSubstr(std::string(GetParam().subject) + GetParam().why));
  EXPECT_THAT(outcome.out, HasSubstr("unknown without a usable GPU"));
}

INSTANTIATE_TEST_SUITE_P(Machines, NoGpuTest, testing::ValuesIn(kMachines), [](const auto& test) {
  return std::string(test.param.name) == "no GPU" ? "DriverWithoutGpu" : "NoDriver";
});

// In this process, too: no driver here, unless the machine has one.
TEST(CudaBackendTest, IsMissingWithoutADriver) {
  if (has_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  EXPECT_EQ(cuda_backend_missing(), kMachines[0].why);
}

}  // namespace
}  // namespace convoy::test
