// Which Philox stream each part of the engine draws from. A draw is a function of (seed, stream, step,
// index): two parts never see the same numbers if their streams differ, or their steps do.
#pragma once

#include <cstdint>

namespace convoy::random_streams {

/// Tensor k of a model's state dict takes its initial values from stream k, all of them in step 0.
constexpr std::uint32_t kInitialValues = 0;

/// The shifts and flips of images. A training step draws at its own number, which is 1 or more. A model of
/// more than 2^15 tensors would reach this stream with its initial values, but only in step 0.
constexpr std::uint32_t kAugmentation = 1u << 15;

/// Dropout layer k of a model draws its masks from stream kDropout + k, at the number of the training step,
/// which is 1 or more.
constexpr std::uint32_t kDropout = 1u << 16;

/// What the gradient check makes up: the input, the gradient of the output, and which elements it
/// differences. All in step 0.
constexpr std::uint32_t kGradcheckInput = 1u << 20;
constexpr std::uint32_t kGradcheckCotangent = kGradcheckInput + 1;
constexpr std::uint32_t kGradcheckChoice = kGradcheckInput + 2;

/// The order in which an epoch visits the samples. Its step is the number of the epoch, 1 or more, so it must
/// be no stream of dropout's; the digits spell "shuf".
constexpr std::uint32_t kEpochOrder = 0x73687566;

/// Which images of a class are held out for the test. Its step is the number of the class.
constexpr std::uint32_t kSplit = 0x73706c69;

}  // namespace convoy::random_streams
