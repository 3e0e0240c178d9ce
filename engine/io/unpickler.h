// An unpickler that can build state dicts and nothing else. It never calls or imports what a pickle names.
// The few globals that it knows become values of an enum. Of all others the names are kept, so that a NumPy
// number beside a state dict does no harm, and a message can say what a file holds instead of one.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <variant>
#include <vector>

namespace convoy::pickle {

/// The globals that a state dict of PyTorch can name.
enum class Global {
  ordered_dict,
  rebuild_tensor,     // torch._utils._rebuild_tensor_v2
  rebuild_tensor_v1,  // torch._utils._rebuild_tensor, of before PyTorch 0.4
  rebuild_parameter,  // torch._utils._rebuild_parameter
  half_storage,
  bfloat16_storage,
  float_storage,
  double_storage,
  int_storage,
  long_storage,
};

/// Any other global: a name, and nothing else.
struct Foreign {
  std::string_view module;
  std::string_view name;

  bool operator==(const Foreign&) const = default;
};

struct Object;
struct None {
  bool operator==(const None&) const = default;
};

/// Text of more than 64 KiB, which names nothing: the elements of a NumPy array are such.
struct LongText {
  std::size_t bytes = 0;

  bool operator==(const LongText&) const = default;
};

using Value =
    std::variant<None, bool, std::int64_t, double, std::string_view, LongText, Global, Foreign, Object*>;

/// A value that has elements.
struct Object {
  enum class Kind {
    tuple,
    list,
    dict,  // keys and values in turn, in the pickle's order, also duplicate keys
    call,  // a global and its tuple of arguments; the call is not made, and what is added to it is dropped
    persistent_id,  // one element: the tuple that torch.save wrote for a storage
  };
  Kind kind;
  std::vector<Value> elements;
};

/// The object that `value` is, if it is of that kind, or null.
inline Object* as_object(const Value& value, Object::Kind kind) {
  auto* const object = std::get_if<Object*>(&value);
  return object != nullptr && (*object)->kind == kind ? *object : nullptr;
}

/// The content of a pickle. One arena owns all objects. A hostile pickle can build cycles and deep nesting:
/// with owners inside owners a cycle would leak, and destroying deep nesting would overflow the stack.
struct Document {
  std::deque<Object> objects;
  Value root;
};

/// Reads one pickle of protocol 2, which must end with `bytes`. Strings are views into `bytes`. Throws Error,
/// with the position and what was found there, for a truncated or malformed pickle, an opcode that torch.save
/// does not write, and for more than 16 MiB, 2^20 objects or 2^20 memo entries.
Document unpickle(std::string_view bytes);

/// The same for one pickle that other bytes follow: removes it from the front of `bytes`.
Document unpickle_front(std::string_view& bytes);

}  // namespace convoy::pickle
