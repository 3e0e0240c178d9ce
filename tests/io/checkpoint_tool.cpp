// What torch_roundtrip.py and tests/interop ask of the engine: `convnet OUT` saves the ConvNet of
// convnet_state.h, `copy IN OUT` loads a checkpoint and saves what it held, `safetensors IN OUT` saves it in
// that format.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "convoy/checkpoint.h"
#include "convoy/safetensors.h"
#include "tests/io/convnet_state.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    if (arguments.size() == 2 && arguments[0] == "convnet") {
      convoy::save_checkpoint(convoy::convnet_state(), arguments[1]);
    } else if (arguments.size() == 3 && arguments[0] == "copy") {
      convoy::save_checkpoint(convoy::load_checkpoint(arguments[1]), arguments[2]);
    } else if (arguments.size() == 3 && arguments[0] == "safetensors") {
      convoy::save_safetensors(convoy::load_checkpoint(arguments[1]), arguments[2], {{"format", "pt"}});
    } else {
      std::fputs("usage: io_checkpoint_tool convnet OUT | copy IN OUT | safetensors IN OUT\n", stderr);
      return 2;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
