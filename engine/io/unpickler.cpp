#include "engine/io/unpickler.h"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "engine/io/pickle_cursor.h"
#include "engine/io/pickle_opcodes.h"

namespace convoy::pickle {
namespace {

// Room for 100,000 tensors: a tensor takes six objects.
constexpr std::size_t kMaxObjects = std::size_t{1} << 20;
constexpr std::size_t kMaxMemo = std::size_t{1} << 20;
// Python's pickler sets items in batches of 1000. Nested dicts and tuples add little to that.
constexpr std::size_t kMaxStack = std::size_t{1} << 16;
constexpr std::size_t kMaxMarks = 256;

/// What to do about an opcode that only Python 2 writes; empty for others.
std::string_view advice_on(Opcode opcode) {
  const auto code = static_cast<char>(opcode);
  if (code != 'T' && code != 'U') return "";
  return ", but is how Python 2 wrote text; load it with torch.load in Python 3 and save it again";
}

class Machine {
 public:
  explicit Machine(std::string_view bytes) : in_(bytes) {}

  /// Reads one pickle, from its header to STOP.
  Document run();

  const PickleCursor& cursor() const { return in_; }

 private:
  [[noreturn]] void fail(std::string_view what) const { in_.fail(what); }

  // The stack. No opcode may pop values below the topmost mark.
  void push(Value value);
  Value pop();
  Value& top();
  std::vector<Value> pop_to_mark();
  std::vector<Value> pop_count(std::size_t count);
  void require_above_mark(std::size_t count) const;

  // The objects.
  Object* make(Object::Kind kind, std::vector<Value> elements);
  Object& top_object(Object::Kind kind, std::string_view name);
  bool top_is_foreign();
  void extend(Object::Kind kind, std::string_view name, std::vector<Value> elements);
  Object* pop_tuple(std::string_view what);

  bool push_scalar(Opcode opcode);
  void step(Opcode opcode);
  void put(std::uint64_t slot);
  void get(std::uint64_t slot);
  void mark();
  void reduce();
  void build();
  void persistent_id();

  PickleCursor in_;
  std::vector<Value> stack_;
  std::vector<std::size_t> marks_;  // the size of the stack at each MARK
  std::unordered_map<std::uint64_t, Value> memo_;
  Document document_;
};

void Machine::push(Value value) {
  if (stack_.size() == kMaxStack) fail("the stack is too deep");
  stack_.push_back(value);
}

void Machine::require_above_mark(std::size_t count) const {
  const std::size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() - floor < count) fail("the stack is empty");
}

Value Machine::pop() {
  const Value value = top();
  stack_.pop_back();
  return value;
}

Value& Machine::top() {
  require_above_mark(1);
  return stack_.back();
}

std::vector<Value> Machine::pop_count(std::size_t count) {
  require_above_mark(count);
  const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
  std::vector<Value> values(first, stack_.end());
  stack_.erase(first, stack_.end());
  return values;
}

std::vector<Value> Machine::pop_to_mark() {
  if (marks_.empty()) fail("no mark on the stack");
  std::vector<Value> values = pop_count(stack_.size() - marks_.back());
  marks_.pop_back();
  return values;
}

Object* Machine::make(Object::Kind kind, std::vector<Value> elements) {
  if (document_.objects.size() == kMaxObjects) fail("too many objects");
  return &document_.objects.emplace_back(Object{kind, std::move(elements)});
}

Object& Machine::top_object(Object::Kind kind, std::string_view name) {
  Object* const object = as_object(top(), kind);
  if (object == nullptr) fail(fmt::format("expected a {} on the stack", name));
  return *object;
}

/// Whether the object on the stack is one that a foreign global would have made.
bool Machine::top_is_foreign() {
  const Object* const call = as_object(top(), Object::Kind::call);
  return call != nullptr && std::holds_alternative<Foreign>(call->elements.at(0));
}

void Machine::extend(Object::Kind kind, std::string_view name, std::vector<Value> elements) {
  if (kind == Object::Kind::dict && elements.size() % 2 != 0) fail("a dict key without a value");
  if (top_is_foreign()) return;  // a subclass of dict or list
  std::vector<Value>& target = top_object(kind, name).elements;
  target.insert(target.end(), elements.begin(), elements.end());
}

Object* Machine::pop_tuple(std::string_view what) {
  Object* const tuple = as_object(pop(), Object::Kind::tuple);
  if (tuple == nullptr) fail(fmt::format("{} is not a tuple", what));
  return tuple;
}

void Machine::put(std::uint64_t slot) {
  if (memo_.size() == kMaxMemo && !memo_.contains(slot)) fail("too many memo entries");
  memo_.insert_or_assign(slot, top());
}

void Machine::get(std::uint64_t slot) {
  const auto entry = memo_.find(slot);
  if (entry == memo_.end()) fail(fmt::format("memo entry {} was never stored", slot));
  push(entry->second);
}

void Machine::mark() {
  if (marks_.size() == kMaxMarks) fail("nested too deeply");
  marks_.push_back(stack_.size());
}

// Also for NEWOBJ, which makes an object of a class.
void Machine::reduce() {
  Object* const arguments = pop_tuple("the argument list of a call");
  const Value callee = pop();
  if (std::holds_alternative<Foreign>(callee)) return push(make(Object::Kind::call, {callee, arguments}));
  const auto* const global = std::get_if<Global>(&callee);
  if (global == nullptr) fail("a call of something that is not a global");
  switch (*global) {
    case Global::ordered_dict:
      if (!arguments->elements.empty()) fail("an OrderedDict with arguments, as Python 2 pickles it");
      return push(make(Object::Kind::dict, {}));
    case Global::rebuild_tensor:
    case Global::rebuild_tensor_v1:
    case Global::rebuild_parameter:
      return push(make(Object::Kind::call, {callee, arguments}));
    default:
      fail("a call of a storage type");
  }
}

// nn.Module.state_dict() gives its OrderedDict the attribute `_metadata`, with the versions of the modules.
// It is ignored, because it says nothing about the tensors.
void Machine::build() {
  const Object* const attributes = as_object(pop(), Object::Kind::dict);
  if (top_is_foreign()) return;
  top_object(Object::Kind::dict, "dict");
  if (attributes == nullptr || attributes->elements.size() != 2 ||
      attributes->elements[0] != Value(std::string_view("_metadata"))) {
    fail("an attribute other than _metadata");
  }
}

void Machine::persistent_id() {
  Object* const id = pop_tuple("a persistent id");
  push(make(Object::Kind::persistent_id, {id}));
}

/// Handles the opcodes that push None, a boolean, a number, a string or a global. Returns false for others.
bool Machine::push_scalar(Opcode opcode) {
  switch (opcode) {
    case Opcode::none:
      push(None{});
      return true;
    case Opcode::new_true:
    case Opcode::new_false:
      push(opcode == Opcode::new_true);
      return true;
    case Opcode::bin_int:
      push(in_.take_signed(4));
      return true;
    case Opcode::bin_int1:
      push(static_cast<std::int64_t>(in_.take_unsigned(1)));
      return true;
    case Opcode::bin_int2:
      push(static_cast<std::int64_t>(in_.take_unsigned(2)));
      return true;
    case Opcode::long1:
      push(in_.take_long());
      return true;
    case Opcode::bin_float:
      push(in_.take_double());
      return true;
    case Opcode::bin_unicode:
      push(in_.take_string());
      return true;
    case Opcode::global:
      push(in_.take_global());
      return true;
    default:
      return false;
  }
}

void Machine::step(Opcode opcode) {
  using Kind = Object::Kind;
  if (push_scalar(opcode)) return;
  switch (opcode) {
    case Opcode::empty_tuple:
      return push(make(Kind::tuple, {}));
    case Opcode::tuple1:
      return push(make(Kind::tuple, pop_count(1)));
    case Opcode::tuple2:
      return push(make(Kind::tuple, pop_count(2)));
    case Opcode::tuple3:
      return push(make(Kind::tuple, pop_count(3)));
    case Opcode::tuple:
      return push(make(Kind::tuple, pop_to_mark()));
    case Opcode::empty_list:
      return push(make(Kind::list, {}));
    case Opcode::append:
      return extend(Kind::list, "list", pop_count(1));
    case Opcode::appends:
      return extend(Kind::list, "list", pop_to_mark());
    case Opcode::empty_dict:
      return push(make(Kind::dict, {}));
    case Opcode::set_item:
      return extend(Kind::dict, "dict", pop_count(2));
    case Opcode::set_items:
      return extend(Kind::dict, "dict", pop_to_mark());
    case Opcode::mark:
      return mark();
    case Opcode::bin_put:
    case Opcode::long_bin_put:
      return put(in_.take_unsigned(opcode == Opcode::bin_put ? 1 : 4));
    case Opcode::bin_get:
    case Opcode::long_bin_get:
      return get(in_.take_unsigned(opcode == Opcode::bin_get ? 1 : 4));
    case Opcode::reduce:
    case Opcode::new_obj:
      return reduce();
    case Opcode::build:
      return build();
    case Opcode::bin_persid:
      return persistent_id();
    default:
      fail(fmt::format("opcode {} has no place in a checkpoint{}",
                       foreign_opcode_name(static_cast<unsigned char>(opcode)), advice_on(opcode)));
  }
}

Document Machine::run() {
  in_.take_header();
  for (Opcode opcode = in_.take_opcode(); opcode != Opcode::stop; opcode = in_.take_opcode()) step(opcode);
  document_.root = pop();
  if (!stack_.empty() || !marks_.empty()) fail("values left on the stack");
  return std::move(document_);
}

}  // namespace

Document unpickle(std::string_view bytes) {
  Machine machine(bytes);
  Document document = machine.run();
  if (!machine.cursor().rest().empty()) machine.cursor().fail("bytes after the end of the pickle");
  return document;
}

Document unpickle_front(std::string_view& bytes) {
  Machine machine(bytes);
  Document document = machine.run();
  bytes = machine.cursor().rest();
  return document;
}

}  // namespace convoy::pickle
