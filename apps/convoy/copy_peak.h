// What the machine's memory does at most, to which `convoy bench` compares a step.
#pragma once

namespace convoy {

/// Gigabytes (1e9) a second that copying between arrays larger than the caches reads and writes, for about
/// 0.2 s in all. Uses as many threads as OpenMP gives.
double measure_copy_peak();

}  // namespace convoy
