// A block's array in shared memory. A macro, because the tests that run kernels on the host bring their own:
// exactly sized, and full of NaN at every block's start.
#pragma once

#ifndef SHARED_ARRAY
#define SHARED_ARRAY(T, name, count) __shared__ T name[count]
#endif
