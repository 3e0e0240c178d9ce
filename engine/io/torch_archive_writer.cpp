#include <fmt/format.h>

#include <array>
#include <cstring>

#include "convoy/error.h"
#include "engine/io/torch_archive.h"

namespace convoy {
namespace {

constexpr std::string_view kRoot = "archive/";
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kLocalHeader = 30;           // bytes before the name (APPNOTE.TXT, 4.3.7)
constexpr std::size_t kExtraHeader = 4;            // id and length
constexpr zip_uint16_t kPaddingId = 0x4246;        // "FB", as PyTorch marks its padding
constexpr zip_uint16_t kNewYear1980 = 1 << 5 | 1;  // in DOS format: the archive does not depend on the clock

[[noreturn]] void fail(const char* reason) {
  throw Error(fmt::format("cannot build the zip archive: {}", reason));
}

/// Pads the local header with an extra field, so that the entry's bytes start at a multiple of 64. They must,
/// because torch.load(mmap=True) uses storages at their place in the file. Returns the start of the next
/// header.
std::size_t align(zip_t* archive, zip_uint64_t index, std::size_t header_at, const std::string& name,
                  std::size_t size) {
  const std::size_t unpadded = header_at + kLocalHeader + name.size() + kExtraHeader;
  const std::array<zip_uint8_t, kAlignment> padding{};
  const std::size_t length = (kAlignment - unpadded % kAlignment) % kAlignment;
  if (zip_file_extra_field_set(archive, index, kPaddingId, ZIP_EXTRA_FIELD_NEW, padding.data(),
                               static_cast<zip_uint16_t>(length), ZIP_FL_LOCAL) != 0) {
    fail(zip_strerror(archive));
  }
  return unpadded + length + size;
}

/// Adds an entry and returns its index. `bytes` must live until the archive is closed.
zip_uint64_t add(zip_t* archive, const std::string& name, const std::string& bytes) {
  ZipSource content(zip_source_buffer(archive, bytes.data(), bytes.size(), 0));
  if (!content) fail(zip_strerror(archive));
  const zip_int64_t added = zip_file_add(archive, name.c_str(), content.get(), ZIP_FL_ENC_UTF_8);
  if (added < 0) fail(zip_strerror(archive));
  static_cast<void>(content.release());  // the archive owns it now
  const auto index = static_cast<zip_uint64_t>(added);
  if (zip_set_file_compression(archive, index, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive, index, 0, kNewYear1980, 0) != 0) {
    fail(zip_strerror(archive));
  }
  return index;
}

std::string content_of(zip_source_t* source) {
  zip_stat_t stat;
  if (zip_source_stat(source, &stat) != 0 || (stat.valid & ZIP_STAT_SIZE) == 0 ||
      zip_source_open(source) != 0) {
    fail(zip_error_strerror(zip_source_error(source)));
  }
  std::string bytes(stat.size, '\0');
  const zip_int64_t got = zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  if (got < 0 || static_cast<std::uint64_t>(got) != bytes.size()) fail("short read from memory");
  return bytes;
}

}  // namespace

std::string torch_archive(const std::vector<ArchiveEntry>& entries) {
  ZipError error;
  const ZipSource memory(zip_source_buffer_create(nullptr, 0, 0, error.get()));
  if (!memory) fail(error.text());
  ZipArchive archive(zip_open_from_source(memory.get(), ZIP_TRUNCATE, error.get()));
  if (!archive) fail(error.text());
  zip_source_keep(memory.get());  // the open archive owns one reference; this one is for content_of

  std::size_t header_at = 0;
  for (const ArchiveEntry& entry : entries) {
    const std::string name = std::string(kRoot) + entry.name;
    const zip_uint64_t index = add(archive.get(), name, entry.bytes);
    header_at = align(archive.get(), index, header_at, name, entry.bytes.size());
  }
  if (zip_close(archive.get()) != 0) fail(zip_strerror(archive.get()));
  static_cast<void>(archive.release());  // closed
  return content_of(memory.get());
}

}  // namespace convoy
