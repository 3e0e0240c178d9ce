#include "engine/data/arrays.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <system_error>
#include <utility>

#include "convoy/error.h"
#include "engine/core/file.h"
#include "engine/core/zip_handles.h"
#include "engine/data/byte_reader.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".npy";

class Npz : public Arrays {
 public:
  explicit Npz(const fs::path& file) : file_(file) {
    int code = 0;
    Descriptor own(::fcntl(file_.descriptor().get(), F_DUPFD_CLOEXEC, 0));  // zip_fdopen closes it
    archive_.reset(zip_fdopen(own.get(), 0, &code));
    if (!archive_) {
      throw Error(fmt::format("{}: no whole .npz archive ({}); get the file again", file.string(),
                              ZipError(code).text()));
    }
    own.release();
  }

  bool has(const std::string& name) const override { return index_of(name) >= 0; }

  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
    for (zip_int64_t i = 0; i < count; ++i) {
      const char* const entry = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), 0);
      std::string name = entry == nullptr ? "" : entry;
      if (!name.ends_with(kEnding)) continue;
      name.resize(name.size() - kEnding.size());
      all.push_back(std::move(name));
    }
    return all;
  }

  std::string where(const std::string& name) const override {
    return fmt::format("{}: {}.npy", file_.path().string(), name);
  }

  NpyArray read(const std::string& name) const override {
    const InputName input{where(name)};
    const auto index = static_cast<zip_uint64_t>(index_of(name));
    zip_stat_t stat;
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(archive_.get(), index, 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded) {
      input.fail("the archive's entry is damaged; get the file again");
    }
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
      input.fail("the archive's entry is packed in a way that numpy.savez does not know");
    }
    if (stat.comp_size > static_cast<zip_uint64_t>(file_.bytes()))
      input.fail("the archive's entry is larger than the file");
    const ZipEntry entry(zip_fopen_index(archive_.get(), index, 0));
    if (!entry) input.fail(fmt::format("cannot be opened: {}", zip_strerror(archive_.get())));
    NpySource source;
    const auto packed_bytes = static_cast<std::int64_t>(stat.comp_size);
    const bool stored = stat.comp_method == ZIP_CM_STORE;
    source.most_bytes = stored ? packed_bytes : most_unpacked(packed_bytes);
    source.held_bytes = stored ? packed_bytes : 0;
    source.name = input;
    source.read = [&](std::span<std::uint8_t> out) {
      std::size_t done = 0;
      while (done < out.size()) {
        const zip_int64_t got = zip_fread(entry.get(), out.data() + done, out.size() - done);
        if (got < 0)
          input.fail(fmt::format("damaged ({}); get the file again", zip_file_strerror(entry.get())));
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
      }
      return done;
    };
    return read_npy(source);
  }

 private:
  zip_int64_t index_of(const std::string& name) const {
    return zip_name_locate(archive_.get(), (name + ".npy").c_str(), 0);
  }

  InputFile file_;
  ZipArchive archive_;
};

class NpyFolder : public Arrays {
 public:
  explicit NpyFolder(fs::path folder) : folder_(std::move(folder)) {}

  bool has(const std::string& name) const override {
    std::error_code code;
    return fs::exists(folder_ / (name + ".npy"), code);
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    std::error_code code;
    for (fs::directory_iterator at(folder_, code); !code && at != fs::directory_iterator();
         at.increment(code)) {
      if (at->path().extension() == kEnding) all.push_back(at->path().stem().string());
    }
    std::ranges::sort(all);
    return all;
  }

  std::string where(const std::string& name) const override { return (folder_ / (name + ".npy")).string(); }

  NpyArray read(const std::string& name) const override {
    ByteReader reader(folder_ / (name + ".npy"));
    return read_npy({.read = [&](std::span<std::uint8_t> out) { return reader.read(out); },
                     .most_bytes = reader.most_bytes(),
                     .held_bytes = reader.held_bytes(),
                     .name = {where(name)}});
  }

 private:
  fs::path folder_;
};

}  // namespace

std::unique_ptr<Arrays> open_arrays(const fs::path& data) {
  std::error_code code;
  if (fs::is_directory(data, code)) return std::make_unique<NpyFolder>(data);
  return std::make_unique<Npz>(data);
}

}  // namespace convoy
