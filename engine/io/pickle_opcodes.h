// The pickle opcodes that a state dict uses, and the names of all others for messages.
// Source: CPython's Lib/pickletools.py, which specifies every opcode and its arguments.
#pragma once

#include <string>

namespace convoy::pickle {

/// The opcodes of protocol 2 that PyTorch 1.6 and newer write for state dicts, training checkpoints and
/// modules.
enum class Opcode : unsigned char {
  mark = '(',
  stop = '.',
  bin_float = 'G',
  bin_int = 'J',
  bin_int1 = 'K',
  bin_int2 = 'M',
  none = 'N',
  bin_persid = 'Q',
  reduce = 'R',
  bin_unicode = 'X',
  empty_list = ']',
  append = 'a',
  build = 'b',
  global = 'c',
  appends = 'e',
  bin_get = 'h',
  long_bin_get = 'j',
  bin_put = 'q',
  long_bin_put = 'r',
  set_item = 's',
  tuple = 't',
  set_items = 'u',
  empty_dict = '}',
  empty_tuple = ')',
  proto = 0x80,
  new_obj = 0x81,
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  new_true = 0x88,
  new_false = 0x89,
  long1 = 0x8a,
};

/// The name, for a message, of an opcode that is not among them: "INST (0x69)".
std::string foreign_opcode_name(unsigned char opcode);

}  // namespace convoy::pickle
