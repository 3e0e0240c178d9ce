// Stands in for libcublasLt.so.13: matrix products in double, with the epilogues BIAS and BGRADB. An
// algorithm is good for the very problem that it was asked for, and for no other.
#include <cublasLt.h>

#include <cstring>
#include <string>

#include "tests/software_gpu/cublaslt/product.h"
#include "tests/software_gpu/gpu.h"

using namespace software_gpu;

namespace {

// Some, and more for a larger product.
std::size_t workspace_of(const MatrixView& d) {
  return 4096 + 4 * static_cast<std::size_t>(d.rows) * static_cast<std::size_t>(d.columns);
}

constexpr std::uint64_t kAlgorithmMark = 0x50657274696e656eull;

struct Layout {
  cudaDataType_t type;
  std::uint64_t rows;
  std::uint64_t columns;
  std::int64_t leading;
};

struct Preference {
  std::uint64_t workspace = 0;
};

MatmulSettings* settings(cublasLtMatmulDesc_t desc) { return reinterpret_cast<MatmulSettings*>(desc); }
const Layout& layout(cublasLtMatrixLayout_t layout) { return *reinterpret_cast<const Layout*>(layout); }

MatrixView view(cublasLtMatrixLayout_t of, const void* data) {
  const Layout& l = layout(of);
  return {const_cast<void*>(data), l.type, static_cast<std::int64_t>(l.rows),
          static_cast<std::int64_t>(l.columns), l.leading};
}

template <typename T>
bool store(T& to, const void* from, std::size_t size) {
  if (size != sizeof to) return false;
  std::memcpy(&to, from, size);
  return true;
}

bool all_alive(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
               std::initializer_list<cublasLtMatrixLayout_t> layouts) {
  bool alive = is_alive("cublasLt handles", handle) && is_alive("matmul descriptors", desc);
  for (const cublasLtMatrixLayout_t l : layouts) alive = alive && is_alive("matrix layouts", l);
  return alive;
}

// FNV-1a over what makes two problems the same for an algorithm.
std::uint64_t fingerprint(const MatmulSettings& s, const MatrixView& a, const MatrixView& b,
                          const MatrixView& d) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  const auto mix = [&](std::int64_t value) {
    hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x100000001b3ull;
  };
  for (const std::int64_t value : {std::int64_t{s.compute}, std::int64_t{s.transpose_a},
                                   std::int64_t{s.transpose_b}, std::int64_t{s.epilogue}}) {
    mix(value);
  }
  for (const MatrixView* m : {&a, &b, &d}) {
    for (const std::int64_t value : {std::int64_t{m->type}, m->rows, m->columns, m->leading}) mix(value);
  }
  return hash;
}

}  // namespace

#define CUBLAS_CALL()                                       \
  const std::lock_guard call_guard(::software_gpu::lock()); \
  if (const int call_status = begin_call(__func__)) return static_cast<cublasStatus_t>(call_status)

#define CUBLAS_DESTROY_CALL()                               \
  const std::lock_guard call_guard(::software_gpu::lock()); \
  const auto call_status = static_cast<cublasStatus_t>(begin_call(__func__))

extern "C" {

std::size_t cublasLtGetVersion() { return 130000; }

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "the functionality requested is not supported";
    default:
      return "an internal operation failed";
  }
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  CUBLAS_CALL();
  *handle = reinterpret_cast<cublasLtHandle_t>(new char);
  track("cublasLt handles", *handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  CUBLAS_DESTROY_CALL();
  if (!untrack("cublasLt handles", handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  delete reinterpret_cast<char*>(handle);
  return call_status;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  CUBLAS_CALL();
  if (scale != CUDA_R_32F || (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_FAST_TF32)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  *desc = reinterpret_cast<cublasLtMatmulDesc_t>(new MatmulSettings{.compute = compute});
  track("matmul descriptors", *desc);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  CUBLAS_DESTROY_CALL();
  if (!untrack("matmul descriptors", desc)) return CUBLAS_STATUS_INVALID_VALUE;
  delete settings(desc);
  return call_status;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              std::size_t size) {
  CUBLAS_CALL();
  if (!is_alive("matmul descriptors", desc)) return CUBLAS_STATUS_INVALID_VALUE;
  MatmulSettings& s = *settings(desc);
  bool stored = false;
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      stored = store(s.transpose_a, value, size);
      break;
    case CUBLASLT_MATMUL_DESC_TRANSB:
      stored = store(s.transpose_b, value, size);
      break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      stored = store(s.epilogue, value, size);
      break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      stored = store(s.bias, value, size);
      break;
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      stored = store(s.bias_type, value, size);
      break;
    default:
      die("cublasLtMatmulDescSetAttribute: attribute " + std::to_string(attribute) + " is not simulated");
  }
  return stored ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* result, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t columns, std::int64_t leading) {
  CUBLAS_CALL();
  if (rows == 0 || columns == 0 || leading < static_cast<std::int64_t>(rows)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  *result = reinterpret_cast<cublasLtMatrixLayout_t>(new Layout{type, rows, columns, leading});
  track("matrix layouts", *result);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t handle) {
  CUBLAS_DESTROY_CALL();
  if (!untrack("matrix layouts", handle)) return CUBLAS_STATUS_INVALID_VALUE;
  delete reinterpret_cast<Layout*>(handle);
  return call_status;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  CUBLAS_CALL();
  *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  track("matmul preferences", *preference);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  CUBLAS_DESTROY_CALL();
  if (!untrack("matmul preferences", preference)) return CUBLAS_STATUS_INVALID_VALUE;
  delete reinterpret_cast<Preference*>(preference);
  return call_status;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t size) {
  CUBLAS_CALL();
  if (!is_alive("matmul preferences", preference)) return CUBLAS_STATUS_INVALID_VALUE;
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
    const bool stored = store(reinterpret_cast<Preference*>(preference)->workspace, value, size);
    return stored ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
  }
  return size == sizeof(std::uint32_t) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t results[], int* found) {
  CUBLAS_CALL();
  *found = 0;
  if (!all_alive(handle, desc, {a, b, c, d}) || !is_alive("matmul preferences", preference) ||
      requested < 1) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const MatmulSettings& s = *settings(desc);
  const MatrixView views[] = {view(a, nullptr), view(b, nullptr), view(d, nullptr)};
  if (const cublasStatus_t status = check(s, views[0], views[1], views[2]); status != CUBLAS_STATUS_SUCCESS) {
    return status;
  }
  if (reinterpret_cast<Preference*>(preference)->workspace < workspace_of(views[2])) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  results[0] = {};
  results[0].algo.data[0] = kAlgorithmMark;
  results[0].algo.data[1] = fingerprint(s, views[0], views[1], views[2]);
  results[0].workspaceSize = workspace_of(views[2]);
  results[0].state = CUBLAS_STATUS_SUCCESS;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  CUBLAS_CALL();
  if (!all_alive(handle, desc, {a_layout, b_layout, c_layout, d_layout}) || !algorithm) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  float factors[2];
  std::memcpy(&factors[0], alpha, sizeof(float));
  std::memcpy(&factors[1], beta, sizeof(float));
  const Product product{*settings(desc),   view(a_layout, a), view(b_layout, b),
                        view(c_layout, c), view(d_layout, d), factors[0],
                        factors[1],        workspace,         workspace_bytes};
  if (product.c.rows != product.d.rows || product.c.columns != product.d.columns ||
      product.c.leading != product.d.leading || product.c.type != product.d.type) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (const auto status = check(product.settings, product.a, product.b, product.d); status) return status;
  if (algorithm->data[0] != kAlgorithmMark ||
      algorithm->data[1] != fingerprint(product.settings, product.a, product.b, product.d)) {
    die("cublasLtMatmul: the algorithm was chosen for another problem");
  }
  if (workspace_bytes < workspace_of(product.d)) return CUBLAS_STATUS_INVALID_VALUE;
  return enqueue(stream, work_of(product)) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                          : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
