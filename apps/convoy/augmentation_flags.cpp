#include "apps/convoy/augmentation_flags.h"

#include <CLI/CLI.hpp>

#include "apps/convoy/flags.h"

namespace convoy {

void add_augmentation_flags(CLI::App& command, AugmentationOptions& options) {
  command
      .add_option("--shift", options.max_shift, "Move training images by up to PIXELS in either direction")
      ->option_text("PIXELS")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_flag("--flip", options.flip, "Flip training images left to right, each with probability 1/2");
}

Json describe(const AugmentationOptions& options) {
  return {{"shift", options.max_shift}, {"flip", options.flip}};
}

}  // namespace convoy
