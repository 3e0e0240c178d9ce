#include "engine/io/legacy_archive.h"

#include <fmt/format.h>

#include "convoy/error.h"
#include "engine/io/quote.h"
#include "engine/io/tensor_record.h"

namespace convoy {
namespace {

using namespace std::string_view_literals;
using pickle::Document;
using pickle::Object;
using pickle::Value;

// The pickle of the number 0x1950a86a20f9469cfc6c, which has more bits than any that a state dict may hold.
constexpr auto kMagic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."sv;
constexpr std::int64_t kProtocol = 1001;
constexpr std::int64_t kMaxPickles = std::int64_t{16} << 20;  // as the unpickler limits each
constexpr std::int64_t kCountBytes = 8;

const Object* as_object(const Value& value, Object::Kind kind) {
  const auto* const object = std::get_if<Object*>(&value);
  return object != nullptr && (*object)->kind == kind ? *object : nullptr;
}

/// Throws unless the third pickle is that of a little-endian machine.
void check_system(const Value& system) {
  const Object* const dict = as_object(system, Object::Kind::dict);
  if (dict == nullptr) throw Error("its third pickle does not describe a machine");
  for (std::size_t i = 0; i + 1 < dict->elements.size(); i += 2) {
    if (dict->elements[i] == Value("little_endian"sv) && dict->elements[i + 1] == Value(false)) {
      throw Error("its byte order is not little-endian; save it again on a little-endian machine");
    }
  }
}

}  // namespace

bool LegacyArchive::begins(std::string_view start) { return start.starts_with(kMagic); }

LegacyArchive::LegacyArchive(InputFile& file) : file_(file) {
  file_.rewind();
  front_ = file_.read_text(kMaxPickles);
  std::string_view rest = front_;
  take_start(rest);
  const std::string_view object = rest;
  {
    const Document document = pickle::unpickle_front(rest);
    pickle_ = object.substr(0, object.size() - rest.size());
    for (const Object& reference : document.objects) {
      if (reference.kind == Object::Kind::persistent_id) describe(reference);
    }
  }
  const Document keys = pickle::unpickle_front(rest);
  find_storages(keys, static_cast<std::int64_t>(front_.size() - rest.size()));
}

void LegacyArchive::take_start(std::string_view& rest) {
  if (!begins(rest)) throw Error("it does not begin as torch.save's files of before PyTorch 1.6");
  rest.remove_prefix(kMagic.size());
  const Document protocol = pickle::unpickle_front(rest);
  if (protocol.root != Value(kProtocol))
    throw Error(fmt::format("its protocol version is not {}", kProtocol));
  check_system(pickle::unpickle_front(rest).root);
}

/// Notes the storage of ("storage", torch.FloatStorage, "94110", "cpu", 400, None). What is not of this form
/// is left to the tensor that has it.
void LegacyArchive::describe(const Object& reference) {
  const Object* const id = as_object(reference.elements.at(0), Object::Kind::tuple);
  if (id == nullptr || id->elements.size() < 5) return;
  const auto* const key = std::get_if<std::string_view>(&id->elements[2]);
  const auto* const count = std::get_if<std::int64_t>(&id->elements[4]);
  const std::int64_t width = storage_element_bytes(id->elements[1]);
  if (key == nullptr || count == nullptr || width == 0) return;
  const auto [known, is_new] = storages_.emplace(*key, Storage{.width = width, .count = *count});
  if (!is_new && (known->second.width != width || known->second.count != *count)) {
    throw Error(fmt::format("two tensors describe storage {} differently", quote(*key)));
  }
}

/// The storages follow in the order of their keys, each behind the number of its elements.
void LegacyArchive::find_storages(const Document& keys, std::int64_t at) {
  const Object* const list = as_object(keys.root, Object::Kind::list);
  if (list == nullptr) throw Error("its fifth pickle is not a list of storages");
  for (const Value& value : list->elements) {
    const auto* const key = std::get_if<std::string_view>(&value);
    const auto storage = key == nullptr ? storages_.end() : storages_.find(*key);
    if (storage == storages_.end()) {
      throw Error(fmt::format("storage {} is of no tensor, or of a type that is unknown",
                              key == nullptr ? "without a key" : quote(*key)));
    }
    auto& [width, count, begin] = storage->second;
    if (begin >= 0) throw Error(fmt::format("storage {} is there twice", quote(*key)));
    if (at > file_.bytes() - kCountBytes) throw Error("it is truncated");
    file_.seek(at);
    const std::string bytes = file_.read_text(kCountBytes);
    std::uint64_t said = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) said = said << 8 | static_cast<unsigned char>(bytes[i]);
    if (said != static_cast<std::uint64_t>(count)) {
      throw Error(fmt::format("storage {} has {} elements, not {}", quote(*key), said, count));
    }
    begin = at + kCountBytes;
    if (count < 0 || count > (file_.bytes() - begin) / width) {
      throw Error(
          fmt::format("it is truncated: storage {} of {} elements goes beyond the end", quote(*key), count));
    }
    at = begin + count * width;
  }
}

std::string LegacyArchive::read(std::string_view key) const {
  const auto storage = storages_.find(key);
  if (storage == storages_.end() || storage->second.at < 0) {
    throw Error(fmt::format("it has no storage {}", quote(key)));
  }
  const auto& [width, count, at] = storage->second;
  file_.seek(at);
  return file_.read_text(width * count);
}

}  // namespace convoy
