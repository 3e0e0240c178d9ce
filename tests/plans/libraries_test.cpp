// What cuDNN needs at run time. Where libraries are looked for is in library_search_test.cpp.
#include "engine/backend/cuda/dnn/libraries.h"

#include <gtest/gtest.h>

namespace convoy::cuda::dnn {
namespace {

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
