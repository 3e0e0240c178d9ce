// A run.json, and in it the preparation of pictures.
#include "apps/convoy/run_record.h"

#include "engine/model/preparation_json.h"
#include "tests/fuzz/fuzz.h"

using namespace convoy;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::Input(data, size).rest());
  RunRecord record;
  constexpr fuzz::Bound kBound{.per_byte = 200, .constant = 64 << 10};
  const auto parse = [&] { record = run_record_of(record_of_text(text), "run.json"); };
  if (!fuzz::accepts(size, kBound, parse) || !record.preparation) return 0;
  const auto written = json_of_preparation(*record.preparation);
  fuzz::require(json_of_preparation(preparation_of_json(written, "written")) == written,
                "a preparation that was read can be written, and read again as the same");
  return 0;
}
