// Functions compiled for the processor they run on: no flag of the build decides which instructions.
#pragma once

// Compiles a function once for each instruction set and chooses when the program is loaded. That happens
// before a sanitizer's runtime is ready, so sanitized builds have the plain version alone.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CONVOY_VECTORIZED __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define CONVOY_VECTORIZED
#endif
