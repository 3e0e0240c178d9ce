#include <fcntl.h>
#include <fmt/format.h>

#include "convoy/error.h"
#include "engine/io/quote.h"
#include "engine/io/torch_archive.h"

namespace convoy {

TorchArchive::TorchArchive(InputFile& file) : file_bytes_(static_cast<std::uint64_t>(file.bytes())) {
  file.rewind();
  int code = 0;
  Descriptor own(::fcntl(file.descriptor().get(), F_DUPFD_CLOEXEC, 0));  // zip_fdopen closes it
  archive_.reset(zip_fdopen(own.get(), 0, &code));
  if (archive_) {
    own.release();
  } else {
    throw Error(fmt::format("it is a truncated or damaged zip archive ({})", ZipError(code).text()));
  }
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) add(static_cast<zip_uint64_t>(i));

  std::uint64_t total = 0;  // at most file_bytes_, so it cannot overflow
  for (const auto& [name, entry] : entries_) {
    // Entries that overlap could claim the same bytes of the file many times.
    if (entry.bytes > file_bytes_ - total) throw Error("its zip entries are larger than the file");
    total += entry.bytes;
  }
}

void TorchArchive::add(zip_uint64_t index) {
  zip_stat_t stat;
  if (zip_stat_index(archive_.get(), index, ZIP_FL_ENC_RAW, &stat) != 0) {
    throw Error(fmt::format("its zip entry {} is damaged ({})", index, zip_strerror(archive_.get())));
  }
  constexpr zip_uint64_t kNeeded =
      ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if ((stat.valid & kNeeded) != kNeeded) throw Error(fmt::format("its zip entry {} is damaged", index));
  const std::string_view name = stat.name;
  if (index == 0) root_ = name.substr(0, name.find('/') + 1);
  if (const std::string_view below = name.starts_with(root_) ? name.substr(root_.size()) : "";
      below == "constants.pkl" || below.starts_with("code/")) {
    throw Error(
        "it is a TorchScript archive, as torch.jit.save and libtorch's torch::save write it; take its state "
        "dict: "
        "torch.save(torch.jit.load(file).state_dict(), new_file)");
  }
  if (stat.comp_method != ZIP_CM_STORE || stat.comp_size != stat.size ||
      stat.encryption_method != ZIP_EM_NONE) {
    throw Error(
        fmt::format("its zip entry {} is compressed or encrypted, which torch.save never does; "
                    "save it again with torch.save",
                    quote(name)));
  }
  if (root_.empty() || !name.starts_with(root_)) {
    throw Error(fmt::format(
        "its zip entry {} lies outside the archive's folder, so torch.save did not write it", quote(name)));
  }
  if (!entries_.emplace(name.substr(root_.size()), Entry{index, stat.size}).second) {
    throw Error(fmt::format("there are two zip entries {}", quote(name)));
  }
}

bool TorchArchive::has(std::string_view name) const { return entries_.contains(std::string(name)); }

std::string TorchArchive::read(std::string_view name) const {
  const auto entry = entries_.find(std::string(name));
  if (entry == entries_.end()) {
    throw Error(fmt::format("it has no zip entry {}", quote(root_ + std::string(name))));
  }
  const ZipEntry source(zip_fopen_index(archive_.get(), entry->second.index, 0));
  std::string bytes(entry->second.bytes, '\0');
  zip_int64_t got = source ? 0 : -1;
  std::size_t at = 0;
  while (source && at < bytes.size()) {
    got = zip_fread(source.get(), bytes.data() + at, bytes.size() - at);
    if (got <= 0) break;
    at += static_cast<std::size_t>(got);
  }
  char beyond = 0;  // libzip compares the checksum at the end of the entry
  if (got >= 0 && at == bytes.size()) got = zip_fread(source.get(), &beyond, 1);
  if (got != 0 || at != bytes.size()) {
    const char* const reason = source ? zip_file_strerror(source.get()) : zip_strerror(archive_.get());
    throw Error(fmt::format("its zip entry {} is truncated or damaged ({})", quote(root_ + std::string(name)),
                            reason));
  }
  return bytes;
}

}  // namespace convoy
