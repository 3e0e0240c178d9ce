#include "tests/data/npz_files.h"

#include <fmt/format.h>
#include <zip.h>

#include <stdexcept>

namespace convoy {

std::string npy(const std::string& descr, const std::string& shape, const std::string& elements,
                const std::string& fortran) {
  std::string header =
      fmt::format("{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}", descr, fortran, shape);
  while ((header.size() + 11) % 64 != 0) header += ' ';
  header += '\n';
  const auto length = static_cast<unsigned>(header.size());
  return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(length & 0xff) + static_cast<char>(length >> 8) +
         header + elements;
}

void write_npz(const std::filesystem::path& file, const std::vector<NpzEntry>& entries, bool deflated) {
  int code = 0;
  zip_t* archive = zip_open(file.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (archive == nullptr) throw std::runtime_error("zip_open failed");
  for (const NpzEntry& entry : entries) {
    zip_source_t* source = zip_source_buffer(archive, entry.content.data(), entry.content.size(), 0);
    const zip_int64_t index = zip_file_add(archive, (entry.name + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
    const auto at = static_cast<zip_uint64_t>(index);
    if (index < 0 ||
        zip_set_file_compression(archive, at, deflated ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0) != 0) {
      throw std::runtime_error("zip_file_add failed");
    }
  }
  if (zip_close(archive) != 0) throw std::runtime_error("zip_close failed");
}

}  // namespace convoy
