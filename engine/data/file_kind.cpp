#include "engine/data/file_kind.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace convoy {
namespace {

using namespace std::string_view_literals;

struct Kind {
  std::string_view magic;
  const char* words;
};
constexpr auto kKinds = std::to_array<Kind>({
    {"<"sv, "it is a web page, as a failed download leaves one; get the file itself"},
    {"{"sv, "it is JSON, as a server's error is; get the file itself"},
    {"version https:"sv, "it is a pointer of Git LFS; get the file itself with git lfs pull"},
    {"\x1f\x8b"sv, "it is compressed with gzip a second time; unpack it once: gzip -d"},
    {"PK\3\4"sv, "it is a zip archive; unpack it: unzip"},
    {"BZh"sv, "it is compressed with bzip2; unpack it: bzip2 -d"},
    {"\xfd"
     "7zXZ"sv,
     "it is compressed with xz; unpack it: xz -d"},
    {"\x28\xb5\x2f\xfd"sv, "it is compressed with zstd; unpack it: zstd -d"},
    {"\x80\2"sv, "it is a Python pickle, which is not read"},
    {"\x80\3"sv, "it is a Python pickle, which is not read"},
    {"\x80\4"sv, "it is a Python pickle, which is not read"},
    {"\x80\5"sv, "it is a Python pickle, which is not read"},
    {"\x93NUMPY"sv, "it is a NumPy array, which is not read"},
    {"\x89HDF"sv, "it is an HDF5 file, which is not read"},
    {"PAR1"sv, "it is a Parquet file, which is not read"},
    {"MATLAB"sv, "it is a MATLAB file, which is not read"},
    {"\x89PNG"sv, "it is one PNG picture"},
});

}  // namespace

std::string kind_of_file(std::span<const std::uint8_t> start) {
  const auto* const kind = std::ranges::find_if(kKinds, [&](const Kind& k) {
    return k.magic.size() <= start.size() &&
           std::ranges::equal(k.magic, start.first(k.magic.size()),
                              [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
  });
  return kind == kKinds.end() ? "" : kind->words;
}

}  // namespace convoy
