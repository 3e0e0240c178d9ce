// One cuBLASLt matrix product, set up once: row-major operands, fp32 accumulation, an epilogue for bias or
// its gradient.
#pragma once

#include <cublasLt.h>

#include <optional>

#include "engine/backend/cuda/runtime/context.h"

namespace convoy::cuda {

/// A row-major matrix in device memory.
struct Matrix {
  void* data = nullptr;
  DType dtype = DType::float32;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  bool transposed = false;  // used as its transpose
};

enum class Epilogue {
  none,
  bias,           // c += bias, one for each column of c
  bias_gradient,  // bias = the column sums of a^T, that is, over the summed-over dimension, for each row of c
};

/// c = factor a b + added_factor added.
struct Product {
  Matrix a, b, c;
  float factor = 1.0f;
  void* added = nullptr;  // as c in all else, and not c; null: nothing is added
  float added_factor = 0.0f;
  bool tf32 = false;  // fp32 factors are rounded to TF32. PyTorch's linear layers do not, so no layer does
  Epilogue epilogue = Epilogue::none;
  DeviceTensor* bias = nullptr;    // what the epilogue reads or writes; cuBLAS has it in c's type only
  const char* stand_in = nullptr;  // for the table of plans: what an own kernel does if cuBLAS cannot
};

class Gemm {
 public:
  /// Asks cuBLAS for an algorithm; `available()` tells whether it has one. Throws Error if the question is
  /// wrong; with an epilogue that is no reason to throw, for cuBLAS so refuses what it lacks, too.
  Gemm(Context& context, const Product& product);

  bool available() const { return algorithm_.has_value(); }

  /// Enqueues. Throws Error, naming the product, if it is not available or not prepared.
  void execute();

 private:
  using MatmulDescriptor = Owner<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
  using MatrixLayout = Owner<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
  static MatrixLayout layout_of(const Matrix& matrix);
  void set_epilogue();
  void find_algorithm();
  void add_row_without_algorithm();

  Context& context_;
  MatmulDescriptor operation_;
  Product product_;
  std::string name_;
  MatrixLayout a_layout_, b_layout_, c_layout_;
  std::optional<cublasLtMatmulAlgo_t> algorithm_;
  std::size_t workspace_bytes_ = 0;
  std::int64_t reservation_ = 0;
};

}  // namespace convoy::cuda
