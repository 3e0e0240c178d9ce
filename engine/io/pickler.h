// Writes a pickle of protocol 2 with the opcodes that torch.save uses.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "convoy/host_tensor.h"
#include "engine/io/pickle_opcodes.h"

namespace convoy::pickle {

/// Every member appends and returns the pickler. It uses no memo: repeated names cost some 80 bytes a tensor,
/// which is little.
class Pickler {
 public:
  /// Begins with PROTO 2.
  Pickler();

  Pickler& op(Opcode opcode);
  Pickler& global(std::string_view module, std::string_view name);
  Pickler& string(std::string_view text);
  /// A number that is not negative, in its shortest form, as Python's pickler writes it.
  Pickler& count(std::int64_t value);
  Pickler& counts(std::span<const std::int64_t> values);  // a tuple
  Pickler& real(double value);
  Pickler& boolean(bool value);
  Pickler& empty_ordered_dict();

  /// A contiguous tensor whose elements are the next storage's: "0", "1", ...
  Pickler& tensor(const HostTensor& tensor);
  /// An OrderedDict of tensors, likewise. Throws Error if two tensors have the same name, if a name is not a
  /// tensor name (see is_tensor_name), or if the number of values is not that of the shape.
  Pickler& state(const StateDict& state);

  /// Ends the pickle with STOP and returns it.
  std::string stop();

 private:
  Pickler& little_endian(std::uint64_t number, int width);

  std::string out_;
  std::size_t storages_ = 0;
};

}  // namespace convoy::pickle
