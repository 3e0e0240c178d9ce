// A file of torch.save of before PyTorch 1.6, put together by hand.
#pragma once

#include <string>

#include "tests/io/pickle_assembler.h"

namespace convoy {

/// What such a file consists of, to be bent: an object, and one storage "0" of six floats.
struct LegacyFile {
  std::string magic = std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  std::string protocol = std::string("\x80\x02M\xe9\x03.", 6);
  std::string system = PickleAssembler().raw("\x80\x02}").string("little_endian").raw("\x88s").stop();
  std::string object;
  std::string keys = PickleAssembler().raw("\x80\x02]").string("0").raw("a").stop();
  std::string count = std::string("\x06\0\0\0\0\0\0\0", 8);
  std::string data = std::string(24, '\0');

  std::string bytes() const { return magic + protocol + system + object + keys + count + data; }
};

}  // namespace convoy
