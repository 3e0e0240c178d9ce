// Small files, good and hostile, for the tests of engine/data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

/// A folder of one test, removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  /// Writes a file (and the folders above it) and returns its path.
  std::filesystem::path write(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::filesystem::path& file);

/// One gzip member.
std::string gzip(std::string_view content);

/// An IDX file of unsigned bytes: header and then `elements`, whatever their number.
std::string idx(const std::vector<std::uint32_t>& dimensions, std::string_view elements);

/// Two training and one test image of [1, 2, 3], labels 1, 0 and 2; `ending` is "" or ".gz".
void write_idx_dataset(const TemporaryFolder& folder, const std::string& subfolder,
                       const std::string& ending);

/// A CIFAR-10 record with noise for an image.
std::string cifar_record(std::uint8_t label, std::uint32_t seed);

/// CIFAR-10 files of one record each: labels 0 to 4 for training, 9 for the test.
void write_cifar_dataset(const TemporaryFolder& folder, const std::string& subfolder);

/// An entry of a tar archive; a link if `link` is given.
struct TarEntry {
  std::string path;
  std::string content;
  std::string symbolic_link = {};
  std::string hard_link = {};
};

std::string tar_gz(const std::vector<TarEntry>& entries);

/// `count` bytes that do not repeat soon.
std::string noise(std::size_t count, std::uint32_t seed = 1);

/// The message of the convoy::Error that `action` throws; fails the test if it throws none, or if the message
/// is not one line.
std::string error_of(const std::function<void()>& action);

}  // namespace convoy
