#include "engine/io/legacy_archive.h"

#include <fmt/format.h>

#include <algorithm>

#include "convoy/error.h"
#include "engine/io/little_endian.h"
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
// Protocols 4 and 5 have this opcode, and a number of 8 bytes, in front of what a pickle says.
constexpr char kFrame = '\x95';
constexpr std::size_t kFrameBytes = 9;

/// Whether the third pickle is that of a big-endian machine. Throws Error if it is of none.
bool is_big_endian(const Value& system) {
  const Object* const dict = as_object(system, Object::Kind::dict);
  if (dict == nullptr) throw Error("its third pickle does not describe a machine");
  for (std::size_t i = 0; i + 1 < dict->elements.size(); i += 2) {
    if (dict->elements[i] == Value("little_endian"sv)) return dict->elements[i + 1] == Value(false);
  }
  return false;
}

}  // namespace

bool LegacyArchive::begins(std::string_view start) { return start.starts_with(kMagic); }

int LegacyArchive::foreign_protocol(std::string_view start) {
  if (start.size() < 2 || start[0] != kMagic[0] || start[1] < 3 || start[1] > 5) return 0;
  const int protocol = start[1];
  start.remove_prefix(2);
  if (start.starts_with(kFrame)) start.remove_prefix(std::min(start.size(), kFrameBytes));
  return start.starts_with(kMagic.substr(2)) ? protocol : 0;
}

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
  is_big_endian_ = is_big_endian(pickle::unpickle_front(rest).root);
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

/// The storages follow in the order of their keys, each behind the number of its elements. The elements are
/// little-endian, whichever machine wrote them; the number is not where an old PyTorch on a big-endian one
/// did.
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
    std::string bytes = file_.read_text(kCountBytes);
    std::uint64_t said = from_little_endian(bytes);
    if (is_big_endian_ && said != static_cast<std::uint64_t>(count)) {
      std::ranges::reverse(bytes);
      said = from_little_endian(bytes);
    }
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
