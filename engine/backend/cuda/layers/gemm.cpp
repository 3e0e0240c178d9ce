#include "engine/backend/cuda/layers/gemm.h"

#include <fmt/format.h>

namespace convoy::cuda {
namespace {

// Bytes. cuBLAS gives itself as much on Hopper, where kernels that split k want it, and less on older GPUs.
// It is a limit: what the chosen algorithm asks for is reserved, in the one workspace that all operations
// share.
constexpr std::size_t kWorkspaceLimit = std::size_t{32} << 20;
constexpr std::uint32_t kAlignment = 16;

cudaDataType_t type_of(DType dtype) { return dtype == DType::bfloat16 ? CUDA_R_16BF : CUDA_R_32F; }

cublasLtMatmulDesc_t make_operation(bool tf32) {
  const cublasComputeType_t compute = tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  cublasLtMatmulDesc_t operation = nullptr;
  CONVOY_CUBLAS(cublasLtMatmulDescCreate(&operation, compute, CUDA_R_32F));
  return operation;
}

// "gemm of [100, 1568] and [1568, 10] with bias"
std::string describe(const Product& product) {
  const auto shape_of = [](const Matrix& m) {
    return (m.transposed ? Shape{m.columns, m.rows} : Shape{m.rows, m.columns}).str();
  };
  const char* epilogue = product.epilogue == Epilogue::bias            ? " with bias"
                         : product.epilogue == Epilogue::bias_gradient ? " with bias gradient"
                                                                       : "";
  return fmt::format("gemm of {} and {}{}", shape_of(product.a), shape_of(product.b), epilogue);
}

}  // namespace

// cuBLAS is column-major, and a row-major matrix is its transpose in column-major: c^T = b^T a^T needs no
// transposition at all. So b comes first, and rows and columns change places.
Gemm::Gemm(Context& context, const Product& product)
    : context_(context),
      operation_(make_operation(product.tf32)),
      product_(product),
      name_(describe(product)),
      a_layout_(layout_of(product.a)),
      b_layout_(layout_of(product.b)),
      c_layout_(layout_of(product.c)) {
  const auto set_transpose = [&](cublasLtMatmulDescAttributes_t attribute, bool transposed) {
    const cublasOperation_t op = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    CONVOY_CUBLAS(cublasLtMatmulDescSetAttribute(operation_.get(), attribute, &op, sizeof op));
  };
  set_transpose(CUBLASLT_MATMUL_DESC_TRANSA, product.b.transposed);
  set_transpose(CUBLASLT_MATMUL_DESC_TRANSB, product.a.transposed);
  set_epilogue();
  find_algorithm();
}

Gemm::MatrixLayout Gemm::layout_of(const Matrix& matrix) {
  cublasLtMatrixLayout_t layout = nullptr;
  CONVOY_CUBLAS(cublasLtMatrixLayoutCreate(&layout, type_of(matrix.dtype),
                                           static_cast<std::uint64_t>(matrix.columns),
                                           static_cast<std::uint64_t>(matrix.rows), matrix.columns));
  return MatrixLayout(layout);
}

void Gemm::set_epilogue() {
  if (product_.epilogue == Epilogue::none) return;
  // c's columns are cuBLAS's rows, which BIAS is added along; a is cuBLAS's B, whose sums BGRADB makes.
  // Either vector has the output's type (CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE in cublasLt.h), or cuBLAS
  // refuses.
  const cublasLtEpilogue_t kind =
      product_.epilogue == Epilogue::bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_BGRADB;
  const cudaDataType_t type = type_of(product_.bias->dtype());
  CONVOY_CUBLAS(
      cublasLtMatmulDescSetAttribute(operation_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE, &kind, sizeof kind));
  void* const bias = product_.bias->data();
  CONVOY_CUBLAS(cublasLtMatmulDescSetAttribute(operation_.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                               sizeof bias));
  CONVOY_CUBLAS(cublasLtMatmulDescSetAttribute(operation_.get(), CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type,
                                               sizeof type));
}

void Gemm::find_algorithm() {
  cublasLtMatmulPreference_t raw = nullptr;
  CONVOY_CUBLAS(cublasLtMatmulPreferenceCreate(&raw));
  const Owner<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> preference(raw);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    CONVOY_CUBLAS(cublasLtMatmulPreferenceSetAttribute(raw, attribute, &value, sizeof value));
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(kWorkspaceLimit));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, kAlignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, kAlignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, kAlignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, kAlignment);
  // Split-k adds partial sums in an order of its own making only where it works in place on the output.
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<std::uint32_t>(context_.options().deterministic
                                     ? CUBLASLT_REDUCTION_SCHEME_MASK & ~CUBLASLT_REDUCTION_SCHEME_INPLACE
                                     : CUBLASLT_REDUCTION_SCHEME_MASK));

  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(context_.cublas(), operation_.get(), b_layout_.get(), a_layout_.get(),
                                     c_layout_.get(), c_layout_.get(), raw, 1, &result, &found);
  const bool lacking = status == CUBLAS_STATUS_NOT_SUPPORTED ||
                       (status == CUBLAS_STATUS_INVALID_VALUE && product_.epilogue != Epilogue::none);
  if (!lacking) check_cublas(status, "cublasLtMatmulAlgoGetHeuristic");
  if (lacking || found == 0) return add_row_without_algorithm();
  context_.add_row({.operation = name_,
                    .realisation = Realisation::chosen,
                    .realised_by = "cuBLASLt",
                    .notes = {},
                    .workspace = static_cast<std::int64_t>(result.workspaceSize)});
  algorithm_ = result.algo;
  workspace_bytes_ = result.workspaceSize;
  reservation_ = context_.reserve_workspace(static_cast<std::int64_t>(workspace_bytes_));
}

void Gemm::add_row_without_algorithm() {
  PlanRow row{.operation = name_, .realised_by = "nothing", .notes = {}};
  if (product_.stand_in) {
    row.realisation = Realisation::own_kernel;
    row.realised_by = fmt::format("own kernel: {}, cuBLASLt has no algorithm", product_.stand_in);
  }
  context_.add_row(row);
}

void Gemm::execute() {
  if (!algorithm_) throw Error(fmt::format("cuBLAS has no algorithm for a {}", name_));
  void* const workspace = context_.workspace(reservation_, name_);
  const float added_factor = product_.added ? product_.added_factor : 0.0f;
  const void* const added = product_.added ? product_.added : product_.c.data;
  CONVOY_CUBLAS(cublasLtMatmul(context_.cublas(), operation_.get(), &product_.factor, product_.b.data,
                               b_layout_.get(), product_.a.data, a_layout_.get(), &added_factor, added,
                               c_layout_.get(), product_.c.data, c_layout_.get(), &*algorithm_, workspace,
                               workspace_bytes_, context_.stream()));
}

}  // namespace convoy::cuda
