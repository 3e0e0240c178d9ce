#include "apps/convoy/copy_peak.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <vector>

namespace convoy {

double measure_copy_peak() {
  constexpr std::size_t kPieces = 256;
  constexpr std::size_t kPiece = std::size_t{1} << 20;  // bytes: 256 MiB are no cache's
  std::vector<char> from(kPieces * kPiece, 1);
  std::vector<char> to(kPieces * kPiece, 2);
  double best = 0.0;
  for (int repeat = 0; repeat < 4; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
#pragma omp parallel for schedule(static)
    for (std::size_t piece = 0; piece < kPieces; ++piece) {
      std::memcpy(to.data() + piece * kPiece, from.data() + piece * kPiece, kPiece);
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * static_cast<double>(to.size()) / elapsed.count() / 1e9);
  }
  return best;
}

}  // namespace convoy
