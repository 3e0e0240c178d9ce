// How often nvcc repeats the body of the loop that follows: UNROLL(2). A macro, because the host's compiler
// has another word for it and no need of it.
#pragma once

#ifdef __CUDACC__
#define UNROLL_PRAGMA(text) _Pragma(#text)
#define UNROLL(times) UNROLL_PRAGMA(unroll(times))
#else
#define UNROLL(times) static_assert((times) > 0);
#endif
