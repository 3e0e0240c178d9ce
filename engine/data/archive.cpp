#include "engine/data/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <span>

#include "convoy/error.h"
#include "engine/data/part_file.h"

namespace convoy {
namespace {

using Reader = std::unique_ptr<archive, decltype([](archive* handle) { archive_read_free(handle); })>;

/// An archive that is open for reading.
class TarGz {
 public:
  explicit TarGz(const std::filesystem::path& path) : file_(path), reader_(archive_read_new()) {
    if (!reader_) fail("libarchive cannot start");
    check(archive_read_support_filter_gzip(reader_.get()));
    check(archive_read_support_format_tar(reader_.get()));
    check(archive_read_open_fd(reader_.get(), file_.descriptor().get(), 1 << 16));
  }

  /// The next entry, or nullptr at the end.
  archive_entry* next() {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader_.get(), &entry);
    if (status == ARCHIVE_EOF) return nullptr;
    check(status);
    return entry;
  }

  /// Reads bytes of the current entry into `out` and returns how many; 0 at the entry's end.
  std::size_t read(std::span<std::uint8_t> out) {
    const la_ssize_t got = archive_read_data(reader_.get(), out.data(), out.size());
    if (got < 0) check(static_cast<int>(got));
    return static_cast<std::size_t>(got);
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(fmt::format("{}: {}", file_.path().string(), what));
  }

 private:
  void check(int status) const {
    if (status == ARCHIVE_OK || status == ARCHIVE_WARN) return;
    const char* reason = archive_error_string(reader_.get());
    fail(fmt::format("not a whole tar.gz archive ({})", reason ? reason : "no reason given"));
  }

  InputFile file_;
  Reader reader_;
};

void write_entry(TarGz& tar, PartFile& part) {
  std::vector<std::uint8_t> chunk(1 << 16);
  for (std::size_t got = 0; (got = tar.read(chunk)) > 0;) part.append(std::span(chunk).first(got));
}

void unpack_member(TarGz& tar, archive_entry* entry, const ArchiveMember& member,
                   const std::filesystem::path& folder) {
  if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
    tar.fail(fmt::format("{} is not a regular file in it", member.path));
  }
  // libarchive gives no more data than this size, so the check also limits what is written.
  if (archive_entry_size(entry) != member.bytes) {
    tar.fail(
        fmt::format("{} has {} bytes in it, not {}", member.path, archive_entry_size(entry), member.bytes));
  }
  const std::filesystem::path target = folder / member.path;
  create_folder(target.parent_path());
  PartFile part(target);
  part.clear();
  try {
    write_entry(tar, part);
  } catch (...) {
    part.clear();  // an empty part is deleted
    throw;
  }
  part.publish();
}

}  // namespace

void unpack(const std::filesystem::path& file, const std::vector<ArchiveMember>& members,
            const std::filesystem::path& folder) {
  TarGz tar(file);
  std::set<std::string> unpacked;
  while (archive_entry* entry = tar.next()) {
    const char* name = archive_entry_pathname(entry);
    const auto member = std::find_if(members.begin(), members.end(),
                                     [&](const ArchiveMember& m) { return name && m.path == name; });
    if (member == members.end()) continue;
    unpack_member(tar, entry, *member, folder);
    unpacked.insert(member->path);
  }
  for (const ArchiveMember& member : members) {
    if (!unpacked.contains(member.path)) tar.fail(fmt::format("{} is missing in it", member.path));
  }
}

}  // namespace convoy
