#include "tests/data/support.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <zlib.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "convoy/error.h"
#include "engine/core/philox.h"

namespace convoy {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "convoy-data-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path TemporaryFolder::write(std::string_view name, std::string_view content) const {
  const fs::path file = path_ / name;
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
  return file;
}

std::string read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string gzip(std::string_view content) {
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2 failed");
  }
  std::string out(deflateBound(&stream, static_cast<uLong>(content.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (status != Z_STREAM_END) throw std::runtime_error("deflate failed");
  return out;
}

std::string idx(const std::vector<std::uint32_t>& dimensions, std::string_view elements) {
  std::string file = {'\0', '\0', '\x08', static_cast<char>(dimensions.size())};
  for (const std::uint32_t dimension : dimensions) {
    for (const int shift : {24, 16, 8, 0}) file += static_cast<char>(dimension >> shift & 0xff);
  }
  return file + std::string(elements);
}

void write_idx_dataset(const TemporaryFolder& folder, const std::string& subfolder,
                       const std::string& ending) {
  const auto write = [&](const std::string& name, const std::string& content) {
    folder.write(fmt::format("{}/{}{}", subfolder, name, ending), ending.empty() ? content : gzip(content));
  };
  write("train-images-idx3-ubyte", idx({2, 2, 3}, "abcdefghijkl"));
  write("train-labels-idx1-ubyte", idx({2}, std::string("\1\0", 2)));
  write("t10k-images-idx3-ubyte", idx({1, 2, 3}, "mnopqr"));
  write("t10k-labels-idx1-ubyte", idx({1}, "\2"));
}

std::string cifar_record(std::uint8_t label, std::uint32_t seed) {
  std::string record(1, static_cast<char>(label));
  record += noise(3072, seed);
  return record;
}

void write_cifar_dataset(const TemporaryFolder& folder, const std::string& subfolder) {
  for (std::uint8_t label = 0; label < 5; ++label) {
    folder.write(fmt::format("{}/data_batch_{}.bin", subfolder, label + 1), cifar_record(label, label));
  }
  folder.write(fmt::format("{}/test_batch.bin", subfolder), cifar_record(9, 9));
}

std::string tar_gz(const std::vector<TarEntry>& entries) {
  std::size_t room = 1 << 20;
  for (const TarEntry& entry : entries) room += entry.content.size() + 4096;
  std::string out(room, '\0');
  std::size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_add_filter_gzip(writer);
  archive_write_set_format_ustar(writer);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  for (const TarEntry& entry : entries) {
    archive_entry* header = archive_entry_new();
    archive_entry_set_pathname(header, entry.path.c_str());
    archive_entry_set_filetype(header, entry.symbolic_link.empty() ? AE_IFREG : AE_IFLNK);
    archive_entry_set_perm(header, 0644);
    archive_entry_set_size(header, static_cast<la_int64_t>(entry.content.size()));
    if (!entry.symbolic_link.empty()) archive_entry_set_symlink(header, entry.symbolic_link.c_str());
    if (!entry.hard_link.empty()) archive_entry_set_hardlink(header, entry.hard_link.c_str());
    const bool good = archive_write_header(writer, header) == ARCHIVE_OK &&
                      archive_write_data(writer, entry.content.data(), entry.content.size()) >= 0;
    archive_entry_free(header);
    if (!good) throw std::runtime_error(archive_error_string(writer));
  }
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

std::string noise(std::size_t count, std::uint32_t seed) {
  PhiloxSequence random({.seed = seed});
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next() & 0xff);
  return bytes;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }
  ADD_FAILURE() << "no convoy::Error was thrown";
  return {};
}

}  // namespace convoy
