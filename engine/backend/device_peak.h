// What a device does at most.
#pragma once

namespace convoy {

struct DevicePeak {
  double gflops = 0.0;                // 1e9 operations a second, two per multiply-add; 0 if it is not known
  double gigabytes_per_second = 0.0;  // 1e9 bytes read or written
};

}  // namespace convoy
