#include <fmt/format.h>
#include <openssl/evp.h>

#include <memory>

#include "convoy/error.h"
#include "convoy/fetch.h"
#include "engine/core/file.h"

namespace convoy {

std::string sha256_of(const std::filesystem::path& file) {
  using Context =
      std::unique_ptr<EVP_MD_CTX, decltype([](EVP_MD_CTX* context) { EVP_MD_CTX_free(context); })>;
  const Context context(EVP_MD_CTX_new());
  bool good = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;

  InputFile input(file);
  std::vector<std::uint8_t> chunk(1 << 20);
  for (std::size_t got = 0; good && (got = input.read(chunk)) > 0;) {
    good = EVP_DigestUpdate(context.get(), chunk.data(), got) == 1;
  }
  unsigned char digest[EVP_MAX_MD_SIZE] = {};
  unsigned size = 0;
  good = good && EVP_DigestFinal_ex(context.get(), digest, &size) == 1;
  if (!good) throw Error(fmt::format("OpenSSL cannot compute the SHA-256 of {}", file.string()));

  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace convoy
