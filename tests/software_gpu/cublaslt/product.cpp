#include "tests/software_gpu/cublaslt/product.h"

#include <cstring>
#include <vector>

#include "tests/software_gpu/number.h"

namespace software_gpu {
namespace {

constexpr std::size_t kAlignment = 16;

std::size_t element_bytes(cudaDataType_t type) { return type == CUDA_R_16BF ? 2 : 4; }

std::size_t bytes_of(const MatrixView& m) {
  return static_cast<std::size_t>(m.leading * (m.columns - 1) + m.rows) * element_bytes(m.type);
}

double load(const MatrixView& m, std::int64_t row, std::int64_t column) {
  const auto i = static_cast<std::size_t>(column * m.leading + row);
  return m.type == CUDA_R_16BF ? load_bfloat16(m.data, i) : load_float(m.data, i);
}

void store(const MatrixView& m, std::int64_t row, std::int64_t column, double value) {
  const auto i = static_cast<std::size_t>(column * m.leading + row);
  if (m.type == CUDA_R_16BF) {
    store_bfloat16(m.data, i, value);
  } else {
    store_float(m.data, i, value);
  }
}

std::int64_t rows_of(const MatrixView& m, cublasOperation_t op) {
  return op == CUBLAS_OP_N ? m.rows : m.columns;
}
std::int64_t columns_of(const MatrixView& m, cublasOperation_t op) {
  return op == CUBLAS_OP_N ? m.columns : m.rows;
}

// op(m), packed column by column.
std::vector<double> packed(const MatrixView& m, cublasOperation_t op, bool tf32) {
  const std::int64_t rows = rows_of(m, op);
  const std::int64_t columns = columns_of(m, op);
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(rows * columns));
  for (std::int64_t column = 0; column < columns; ++column) {
    for (std::int64_t row = 0; row < rows; ++row) {
      const double value = op == CUBLAS_OP_N ? load(m, row, column) : load(m, column, row);
      values.push_back(tf32 ? round_to_tf32(static_cast<float>(value)) : value);
    }
  }
  return values;
}

void multiply(const Product& p) {
  const MatmulSettings& s = p.settings;
  std::memset(p.workspace, 0xFF, p.workspace_bytes);
  const bool tf32 = s.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  const std::vector<double> a = packed(p.a, s.transpose_a, tf32);
  const std::vector<double> b = packed(p.b, s.transpose_b, tf32);
  const std::int64_t inner = columns_of(p.a, s.transpose_a);
  const std::int64_t m = p.d.rows;

  std::vector<double> column(static_cast<std::size_t>(m));
  for (std::int64_t j = 0; j < p.d.columns; ++j) {
    std::fill(column.begin(), column.end(), 0.0);
    double gradient = 0.0;
    for (std::int64_t l = 0; l < inner; ++l) {
      const double factor = b[static_cast<std::size_t>(j * inner + l)];
      const double* from = &a[static_cast<std::size_t>(l * m)];
      gradient += factor;
      for (std::size_t i = 0; i < column.size(); ++i) column[i] += factor * from[i];
    }
    for (std::int64_t i = 0; i < m; ++i) {
      double value = p.alpha * column[static_cast<std::size_t>(i)];
      if (p.beta != 0.0f) value += p.beta * load(p.c, i, j);
      if (s.epilogue == CUBLASLT_EPILOGUE_BIAS) {
        value += load({s.bias, s.bias_type, m, 1, m}, i, 0);
      }
      store(p.d, i, j, value);
    }
    if (s.epilogue == CUBLASLT_EPILOGUE_BGRADB) {
      store({s.bias, s.bias_type, p.d.columns, 1, p.d.columns}, j, 0, gradient);
    }
  }
}

bool overlap(const Access& a, const Access& b) {
  const auto* p = static_cast<const char*>(a.pointer);
  const auto* q = static_cast<const char*>(b.pointer);
  return p < q + b.bytes && q < p + a.bytes;
}

}  // namespace

cublasStatus_t check(const MatmulSettings& s, const MatrixView& a, const MatrixView& b, const MatrixView& d) {
  if (rows_of(a, s.transpose_a) != d.rows || columns_of(b, s.transpose_b) != d.columns ||
      columns_of(a, s.transpose_a) != rows_of(b, s.transpose_b)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const auto known = [](cudaDataType_t type) { return type == CUDA_R_32F || type == CUDA_R_16BF; };
  if (!known(a.type) || a.type != b.type || !known(d.type)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (a.type == CUDA_R_32F && d.type != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (a.type == CUDA_R_16BF && s.compute != CUBLAS_COMPUTE_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (s.epilogue == CUBLASLT_EPILOGUE_DEFAULT) return CUBLAS_STATUS_SUCCESS;
  if (s.epilogue != CUBLASLT_EPILOGUE_BIAS && s.epilogue != CUBLASLT_EPILOGUE_BGRADB) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (!s.bias) return CUBLAS_STATUS_INVALID_VALUE;
  // cublasLt.h on CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE and _BIAS_POINTER: a bias and a bias gradient have the
  // elements of the output matrix.
  return s.bias_type == d.type ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

Work work_of(const Product& p) {
  std::vector<Access> accesses = {{p.d.data, bytes_of(p.d), "cublasLtMatmul D"},
                                  {p.a.data, bytes_of(p.a), "cublasLtMatmul A"},
                                  {p.b.data, bytes_of(p.b), "cublasLtMatmul B"},
                                  {p.workspace, p.workspace_bytes, "cublasLtMatmul workspace"}};
  if (p.settings.epilogue != CUBLASLT_EPILOGUE_DEFAULT) {
    const auto count = p.settings.epilogue == CUBLASLT_EPILOGUE_BIAS ? p.d.rows : p.d.columns;
    accesses.push_back({p.settings.bias,
                        static_cast<std::size_t>(count) * element_bytes(p.settings.bias_type),
                        "cublasLtMatmul bias"});
  }
  for (const Access& access : accesses) {
    if (reinterpret_cast<std::uintptr_t>(access.pointer) % kAlignment != 0) {
      die(access.what + " is not aligned to 16 bytes, as was promised");
    }
    for (const Access& other : accesses) {
      const bool written = &access == &accesses[0] || &access == &accesses[3];
      if (written && &access != &other && overlap(access, other))
        die(access.what + " overlaps " + other.what);
    }
  }
  return {WorkKind::library, "cublasLtMatmul", std::move(accesses), [p] { multiply(p); }};
}

}  // namespace software_gpu
