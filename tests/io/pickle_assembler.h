// Writes pickles one opcode at a time, sound and hostile ones alike. It shares nothing with the engine's
// writer.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace convoy {

/// What a test may bend in the description of a tensor. The storage has `count` elements.
struct TensorText {
  std::string storage_type = "FloatStorage";
  std::string key = "0";
  std::int64_t count = 6;
  std::int64_t offset = 0;
  std::initializer_list<std::int64_t> shape = {2, 3};
  std::initializer_list<std::int64_t> strides = {3, 1};
};

class PickleAssembler {
 public:
  /// Starts with PROTO 2 and an empty OrderedDict.
  static PickleAssembler state() { return PickleAssembler().raw("\x80\x02").ordered_dict(); }

  PickleAssembler& raw(std::string_view bytes) {
    out_ += bytes;
    return *this;
  }
  PickleAssembler& global(std::string_view module, std::string_view name) {
    return raw("c").raw(module).raw("\n").raw(name).raw("\n");
  }
  PickleAssembler& ordered_dict() { return global("collections", "OrderedDict").raw(")R"); }
  PickleAssembler& string(std::string_view text) { return raw("X").number(text.size(), 4).raw(text); }
  PickleAssembler& integer(std::int64_t value) {
    return raw("\x8a\x08").number(static_cast<std::uint64_t>(value), 8);
  }
  PickleAssembler& integers(std::initializer_list<std::int64_t> values) {
    raw("(");
    for (const std::int64_t value : values) integer(value);
    return raw("t");
  }

  PickleAssembler& storage(const TensorText& t) {
    return raw("(")
        .string("storage")
        .global("torch", t.storage_type)
        .string(t.key)
        .string("cpu")
        .integer(t.count)
        .raw("tQ");
  }
  /// Storage, offset, shape and strides; the caller ends the call.
  PickleAssembler& tensor_head(const TensorText& t) {
    global("torch._utils", "_rebuild_tensor_v2").raw("(");
    return storage(t).integer(t.offset).integers(t.shape).integers(t.strides);
  }
  PickleAssembler& tensor(const TensorText& t) { return tensor_head(t).raw("\x89").ordered_dict().raw("tR"); }

  /// One entry of the dict on the stack.
  PickleAssembler& entry(std::string_view name, const TensorText& t) {
    return string(name).tensor(t).raw("s");
  }

  /// The pickle, with STOP at its end.
  std::string stop() const { return out_ + "."; }

 private:
  PickleAssembler& number(std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i) out_ += static_cast<char>(value >> 8 * i & 0xff);
    return *this;
  }

  std::string out_;
};

}  // namespace convoy
