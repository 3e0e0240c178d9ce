// A model file.
#include "convoy/model_file.h"
#include "tests/fuzz/fuzz.h"

using namespace convoy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::Input(data, size).rest());
  Model model;
  // "[]," becomes a JSON value and a set of keys, and a layer of 25 bytes a struct of some 300.
  constexpr fuzz::Bound kBound{.per_byte = 200, .constant = 64 << 10};
  if (!fuzz::accepts(size, kBound, [&] { model = parse_model(text, "model.json"); })) return 0;
  const std::string written = to_json(model);
  fuzz::require(to_json(parse_model(written, "written.json")) == written,
                "a model that was read can be written, and read again as the same");
  return 0;
}
