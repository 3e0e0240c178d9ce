// Owning pointers to libzip's objects.
#pragma once

#include <zip.h>

#include <memory>

namespace convoy {

template <auto Release>
struct Releaser {
  template <typename T>
  void operator()(T* object) const {
    static_cast<void>(Release(object));
  }
};

using ZipArchive = std::unique_ptr<zip_t, Releaser<zip_discard>>;  // drops changes that were not closed
using ZipSource = std::unique_ptr<zip_source_t, Releaser<zip_source_free>>;
using ZipEntry = std::unique_ptr<zip_file_t, Releaser<zip_fclose>>;

/// Holds the reason of a failure of libzip.
class ZipError {
 public:
  ZipError() { zip_error_init(&error_); }
  explicit ZipError(int code) { zip_error_init_with_code(&error_, code); }
  ZipError(const ZipError&) = delete;
  ZipError& operator=(const ZipError&) = delete;
  ~ZipError() { zip_error_fini(&error_); }

  zip_error_t* get() { return &error_; }
  const char* text() { return zip_error_strerror(&error_); }

 private:
  zip_error_t error_;
};

}  // namespace convoy
