// A pickle machine that can build state dicts and nothing else. It never runs what a pickle names: the few
// globals it knows become marks in a tree of values, everything else is refused.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <variant>
#include <vector>

namespace convoy::pickle {

/// The globals that PyTorch names in a state dict.
enum class Global {
  ordered_dict,
  rebuild_tensor,     // torch._utils._rebuild_tensor_v2
  rebuild_parameter,  // torch._utils._rebuild_parameter
  half_storage,
  bfloat16_storage,
  float_storage,
  double_storage,
  int_storage,
  long_storage,
};

struct Object;
struct None {
  bool operator==(const None&) const = default;
};

using Value = std::variant<None, bool, std::int64_t, double, std::string_view, Global, Object*>;

/// Anything with elements.
struct Object {
  enum class Kind {
    tuple,
    list,
    dict,           // keys and values in turn, in the pickle's order, duplicates and all
    call,           // a global and its tuple of arguments; not called
    persistent_id,  // one element: the tuple that torch.save wrote for a storage
  };
  Kind kind;
  std::vector<Value> elements;
};

/// What a pickle holds. The objects lie in one arena, so that neither a cycle nor a deep nesting, which a
/// hostile pickle can build, leaks or overflows the stack when it goes.
struct Document {
  std::deque<Object> objects;
  Value root;
};

/// Reads one pickle of protocol 2, from PROTO to STOP and not a byte more. Strings are views into `bytes`.
/// Throws Error, with the position and what was met there, for a truncated or malformed pickle, an opcode or
/// a global that no state dict has, and for more than 16 MiB, 2^20 objects or memo entries.
Document unpickle(std::string_view bytes);

}  // namespace convoy::pickle
