// A library that cuDNN wants at run time: the loader's search, then folders beside others.
#include "engine/backend/cuda/dnn/libraries.h"

#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

namespace convoy::cuda::dnn {
namespace {

namespace fs = std::filesystem;

TEST(Libraries, AreFoundInAFolderWhereTheLoaderHasNone) {
  const TemporaryFolder folder;
  const std::string name = "libconvoy-test-nvrtc.so.99";
  const fs::path folders[] = {folder / "cuda_nvrtc" / "lib", folder / "cu13" / "lib"};
  EXPECT_EQ(load_library(name, folders), "");
  fs::create_directories(folders[0]);
  fs::create_directories(folders[1]);
  write_file(folders[0] / name, "no library");
  EXPECT_EQ(load_library(name, folders), "") << "what is no library is passed over";
  fs::copy_file(fs::path(CONVOY_NO_DEVICE_DRIVER) / "libcuda.so.1", folders[1] / name);
  EXPECT_EQ(load_library(name, folders), (folders[1] / name).string());
}

TEST(Libraries, OfTheLoaderComeFirst) {
  const fs::path folders[] = {CONVOY_NO_DEVICE_DRIVER};
  EXPECT_EQ(load_library("libm.so.6", folders), "libm.so.6");
}

TEST(Libraries, SayTheirVersionAsCuDnnCountsIt) {
  EXPECT_EQ(library_version(91100), "9.11.0");
  EXPECT_EQ(library_version(130203), "13.2.3");
}

TEST(Libraries, CuDnnAndItsCompilerAreHere) {
  EXPECT_EQ(cudnn_problem(), "");
  EXPECT_EQ(load_nvrtc(), "") << "batch norm and pooling would have no plan";
}

}  // namespace
}  // namespace convoy::cuda::dnn
