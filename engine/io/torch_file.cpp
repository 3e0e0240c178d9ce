#include "engine/io/torch_file.h"

#include <fmt/format.h>

#include <array>

#include "convoy/error.h"
#include "engine/core/onnx_magic.h"
#include "engine/io/legacy_archive.h"
#include "engine/io/quote.h"
#include "engine/io/safetensors_header.h"
#include "engine/io/torch_archive.h"

namespace convoy {
namespace {

constexpr std::string_view kZipMagic = "PK\x03\x04";

// What else people call a checkpoint, by its first bytes, and what to do with it.
struct OtherFormat {
  std::string_view magic;
  const char* advice;
};
constexpr auto kOtherFormats = std::to_array<OtherFormat>({
    {"\x80",
     "it is a bare pickle, as pickle.dump writes it; save the state dict with torch.save(model.state_dict(), "
     "file)"},
    {"\x93NUMPY", "it is a NumPy array; save a state dict with torch.save(model.state_dict(), file)"},
    {"\x89HDF",
     "it is an HDF5 file, as Keras saves weights; load them into a PyTorch model, and torch.save its "
     "state_dict()"},
    {"\x1f\x8b", "it is compressed with gzip; unpack it first: gzip -d"},
    {"version https://git-lfs",
     "it is a pointer of Git LFS, not the file itself; get that with git lfs pull"},
    {"<", "it is a web page, not a checkpoint; download the file itself"},
});

/// Throws with what the file is, and what to do about it.
[[noreturn]] void refuse(std::string_view start) {
  if (const std::string advice = other_than_torch(start); !advice.empty()) throw Error(advice);
  if (is_safetensors(start))
    throw Error("it is a safetensors file, which holds tensors alone and no training");
  throw Error("it is not a file that torch.save wrote");
}

/// Throws unless this reader understands the archive's format version and byte order.
void check_marks(const TorchArchive& archive) {
  const std::string version = archive.read("version");
  // PyTorch writes 3 since version 1.6. Its own reader accepts 1 to 10.
  if (version != "10\n" &&
      (version.size() != 2 || version[0] < '1' || version[0] > '9' || version[1] != '\n')) {
    throw Error(fmt::format("its format version is {}, not 1 to 10", quote(version)));
  }
  if (!archive.has("byteorder")) return;  // PyTorch 2.1 and newer write it
  if (const std::string order = archive.read("byteorder"); order != "little") {
    throw Error(
        fmt::format("its byte order is {}, not \"little\"; load it with torch.load on a little-endian "
                    "machine and save it again there",
                    quote(order)));
  }
}

// An element takes two bytes or more, so this limit lets at least 16 tensors share one storage.
constexpr std::uint64_t kElementsPerByte = 8;

}  // namespace

TorchFormat torch_format(std::string_view start) {
  if (start.starts_with(kZipMagic)) return TorchFormat::zip;
  return LegacyArchive::begins(start) ? TorchFormat::legacy : TorchFormat::none;
}

std::string other_than_torch(std::string_view start) {
  if (const int protocol = LegacyArchive::foreign_protocol(start); protocol != 0) {
    return fmt::format(
        "it is of the format of before PyTorch 1.6, in pickle protocol {}, not 2; load it with torch.load "
        "and "
        "save it again with torch.save, without pickle_protocol",
        protocol);
  }
  if (begins_as_onnx(start)) return kOnnxAdvice;
  for (const auto& [magic, advice] : kOtherFormats) {
    if (start.starts_with(magic)) return advice;
  }
  return "";
}

void read_torch_file(InputFile& file,
                     const std::function<void(std::string_view, const StorageReader&, std::uint64_t)>& read) {
  file.rewind();
  const std::string start = file.read_text(kLongestMagic);
  const std::uint64_t max_elements = kElementsPerByte * static_cast<std::uint64_t>(file.bytes());
  switch (torch_format(start)) {
    case TorchFormat::zip: {
      const TorchArchive archive(file);
      check_marks(archive);
      return read(
          archive.read("data.pkl"),
          [&archive](std::string_view key) { return archive.read(fmt::format("data/{}", key)); },
          max_elements);
    }
    case TorchFormat::legacy: {
      const LegacyArchive archive(file);
      return read(
          archive.pickle(), [&archive](std::string_view key) { return archive.read(key); }, max_elements);
    }
    case TorchFormat::none:
      break;
  }
  refuse(start);
}

}  // namespace convoy
