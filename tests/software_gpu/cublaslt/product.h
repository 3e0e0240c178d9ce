// One matrix product in cuBLAS's terms: column-major, d = alpha op(a) op(b) + beta c.
#pragma once

#include <cublasLt.h>

#include <cstdint>

#include "tests/software_gpu/gpu.h"

namespace software_gpu {

struct MatmulSettings {
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cublasOperation_t transpose_a = CUBLAS_OP_N;
  cublasOperation_t transpose_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
  cudaDataType_t bias_type = CUDA_R_32F;
};

struct MatrixView {
  void* data;
  cudaDataType_t type;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t leading;  // elements from one column to the next
};

struct Product {
  MatmulSettings settings;
  MatrixView a, b, c, d;  // c may be d
  float alpha, beta;
  void* workspace;
  std::size_t workspace_bytes;
};

/// Whether cuBLAS would take it: shapes that fit, types that it has, an epilogue that is complete.
cublasStatus_t check(const MatmulSettings& settings, const MatrixView& a, const MatrixView& b,
                     const MatrixView& d);

/// Ends the program if operands overlap or are misaligned.
Work work_of(const Product& product);

}  // namespace software_gpu
