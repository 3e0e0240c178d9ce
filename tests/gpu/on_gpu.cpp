// on_gpu [COMMAND...]: becomes the command if the CUDA backend can be used here, and says on what; else says
// why not and exits with 77, which CTest shows as skipped.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "engine/backend/cuda/cuda.h"

namespace {

constexpr int kSkipped = 77;

int run(char** command) {
  const std::string missing = convoy::cuda_backend_missing();
  if (!missing.empty()) {
    std::printf("skipped: no GPU to test on: %s\n", missing.c_str());
    return kSkipped;
  }
  std::printf("device: %s\n", convoy::make_cuda_backend({})->description().c_str());
  if (*command == nullptr) return EXIT_SUCCESS;
  std::fflush(stdout);
  execvp(*command, command);
  std::perror(*command);
  return EXIT_FAILURE;
}

}  // namespace

int main(int, char** arguments) {
  try {
    return run(arguments + 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "on_gpu: error: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
