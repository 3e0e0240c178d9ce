#include "engine/io/unpickler.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/io/pickle_assembler.h"
#include "tests/temporary_folder.h"

namespace convoy::pickle {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

/// The error of a pickle with this body between PROTO and STOP.
std::string error_of_body(std::string_view body) {
  const std::string bytes = PickleAssembler().raw("\x80\x02").raw(body).stop();
  return error_of([&] { unpickle(bytes); });
}

TEST(Unpickler, ReadsEveryScalar) {
  const std::string bytes = PickleAssembler()
                                .raw("\x80\x02](NK\xffM\xff\xffJ\xff\xff\xff\xff"s)
                                .raw("\x8a\x00\x8a\x02\x00\x80\x88\x89"s)
                                .raw("G\x3f\xf8\x00\x00\x00\x00\x00\x00"s)
                                .string("text")
                                .integer(std::numeric_limits<std::int64_t>::min())
                                .raw("e")
                                .stop();
  const Document document = unpickle(bytes);
  const Object& list = *std::get<Object*>(document.root);
  EXPECT_EQ(list.kind, Object::Kind::list);
  const std::vector<Value> expected = {None{},
                                       std::int64_t{255},
                                       std::int64_t{65535},
                                       std::int64_t{-1},
                                       std::int64_t{0},
                                       std::int64_t{-32768},
                                       true,
                                       false,
                                       1.5,
                                       std::string_view("text"),
                                       std::numeric_limits<std::int64_t>::min()};
  EXPECT_EQ(list.elements, expected);
}

TEST(Unpickler, ReadsTuplesListsAndDicts) {
  const std::string bytes =
      "\x80\x02}(K\x01)K\x02K\x0a\x85K\x03K\x0aK\x0b\x86K\x04K\x0aK\x0bK\x0c\x87uK\x05]K\x01\x61s.";
  const Document document = unpickle(bytes);
  const Object& dict = *std::get<Object*>(document.root);
  ASSERT_EQ(dict.elements.size(), 10U);
  for (std::size_t i = 0; i < 4; ++i) {
    const Object& tuple = *std::get<Object*>(dict.elements[2 * i + 1]);
    EXPECT_EQ(tuple.kind, Object::Kind::tuple);
    EXPECT_EQ(tuple.elements.size(), i);
    if (i > 0) {
      EXPECT_EQ(tuple.elements.front(), Value(std::int64_t{10}));
    }
  }
  const Object& list = *std::get<Object*>(dict.elements[9]);
  EXPECT_EQ(list.kind, Object::Kind::list);
  EXPECT_EQ(list.elements, std::vector<Value>{std::int64_t{1}});
}

TEST(Unpickler, RemembersWhatWasPut) {
  // Short and long forms share one memo; a later PUT of a slot wins.
  const std::string bytes =
      "\x80\x02(K\x01q\x05K\x02r\x05\x00\x00\x00K\x03r\xff\xff\xff\xffh\x05j\xff\xff\xff\xfft."s;
  const Document document = unpickle(bytes);
  const std::vector<Value> expected = {std::int64_t{1}, std::int64_t{2}, std::int64_t{3}, std::int64_t{2},
                                       std::int64_t{3}};
  EXPECT_EQ(std::get<Object*>(document.root)->elements, expected);
}

TEST(Unpickler, AcceptsTheMetadataOfAStateDict) {
  const std::string bytes =
      PickleAssembler::state().raw("}").string("_metadata").ordered_dict().raw("sb").stop();
  EXPECT_TRUE(std::get<Object*>(unpickle(bytes).root)->elements.empty());
}

TEST(Unpickler, RefusesOtherAttributes) {
  for (const char* state : {"}", "N", ")", "}X\x03\0\0\0abcNs"}) {
    EXPECT_THAT(error_of_body("}"s + state + "b"), HasSubstr("pickle")) << state;
  }
  EXPECT_THAT(error_of_body("}}X\x03\0\0\0abcNsb"s), HasSubstr("an attribute other than _metadata"));
  EXPECT_THAT(error_of_body("]}X\x09\0\0\0_metadataNsb"s), HasSubstr("expected a dict"));
}

TEST(Unpickler, RefusesForeignOpcodesByName) {
  EXPECT_THAT(error_of_body("ios\nsystem\n"), HasSubstr("opcode INST (0x69)"));
  EXPECT_THAT(error_of_body("(o"), HasSubstr("opcode OBJ (0x6f)"));
  EXPECT_THAT(error_of_body("\x93"), HasSubstr("opcode STACK_GLOBAL (0x93)"));
  EXPECT_THAT(error_of_body("\x82\x01"), HasSubstr("opcode EXT1 (0x82)"));
  EXPECT_THAT(error_of_body("\xff"), HasSubstr("opcode unknown (0xff)"));
  EXPECT_THAT(error_of_body("N\x80\x02"), HasSubstr("opcode PROTO (0x80)"));
}

// Every byte is either one of the 32 opcodes or refused by its number.
TEST(Unpickler, KnowsNoOtherOpcode) {
  int known = 0;
  for (int opcode = 0; opcode < 256; ++opcode) {
    const std::string message = error_of_body(std::string(1, static_cast<char>(opcode)));
    const bool foreign = message.find(fmt::format("(0x{:02x}) has no place", opcode)) != std::string::npos;
    if (!foreign) ++known;
  }
  EXPECT_EQ(known, 31);  // 32 without PROTO, which may stand only at the start
}

// What it would be is not made, and what is added to it is dropped.
TEST(Unpickler, KeepsOfForeignGlobalsTheNames) {
  for (const char* made : {")R", ")\x81", ")R}b",
                           ")R(K\x01K\x02"
                           "e",
                           ")RK\x01"
                           "a",
                           ")R(K\x01K\x02u", ")RK\x01K\x02s"}) {
    SCOPED_TRACE(testing::PrintToString(made));
    const std::string bytes = "\x80\x02"s + "cos\nsystem\n" + made + ".";
    const Document document = unpickle(bytes);
    const Object& call = *std::get<Object*>(document.root);
    EXPECT_EQ(call.kind, Object::Kind::call);
    ASSERT_EQ(call.elements.size(), 2U);
    EXPECT_EQ(call.elements[0], Value(Foreign{"os", "system"}));
    EXPECT_TRUE(std::get<Object*>(call.elements[1])->elements.empty());
  }
  const std::string storage =
      "\x80\x02"
      "ctorch\nByteStorage\n.";
  EXPECT_EQ(unpickle(storage).root, Value(Foreign{"torch", "ByteStorage"}));
}

TEST(Unpickler, RefusesCallsOfOtherThings) {
  EXPECT_THAT(error_of_body("ctorch\nFloatStorage\n)R"), HasSubstr("a call of a storage type"));
  EXPECT_THAT(error_of_body("N)R"), HasSubstr("not a global"));
  EXPECT_THAT(error_of_body("ccollections\nOrderedDict\nNR"), HasSubstr("is not a tuple"));
  EXPECT_THAT(error_of_body("ccollections\nOrderedDict\nN\x85R"), HasSubstr("OrderedDict with arguments"));
  EXPECT_THAT(error_of_body("NQ"), HasSubstr("a persistent id is not a tuple"));
}

TEST(Unpickler, RefusesAnUnsoundStack) {
  EXPECT_THAT(error_of_body(""), HasSubstr("the stack is empty"));
  EXPECT_THAT(error_of_body("t"), HasSubstr("no mark"));
  EXPECT_THAT(error_of_body("NN(\x85"), HasSubstr("the stack is empty"));  // not below the mark
  EXPECT_THAT(error_of_body("(N"), HasSubstr("values left"));
  EXPECT_THAT(error_of_body("NN"), HasSubstr("values left"));
  EXPECT_THAT(error_of_body("N.N"), HasSubstr("bytes after the end"));
  EXPECT_THAT(error_of_body("}(Nu"), HasSubstr("a dict key without a value"));
  EXPECT_THAT(error_of_body("]NNs"), HasSubstr("expected a dict"));
  EXPECT_THAT(error_of_body("}Na"), HasSubstr("expected a list"));
  EXPECT_THAT(error_of_body("NNa"), HasSubstr("expected a list"));
  EXPECT_THAT(error_of_body("h\x07"), HasSubstr("memo entry 7 was never stored"));
  EXPECT_THAT(error_of_body("q\x07"), HasSubstr("the stack is empty"));
}

TEST(Unpickler, RefusesOtherProtocols) {
  EXPECT_THAT(error_of([] { unpickle("\x80\x04N."); }), HasSubstr("protocol 4"));
  EXPECT_THAT(error_of([] { unpickle("N."); }), HasSubstr("not a pickle of protocol 2"));
  EXPECT_THAT(error_of([] { unpickle(""); }), HasSubstr("truncated"));
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  while (times-- > 0) out += text;
  return out;
}

TEST(Unpickler, KeepsOfLongTextTheLength) {
  const std::string name(65536, 'a');
  EXPECT_EQ(unpickle("\x80\x02X\x00\x00\x01\x00"s + name + ".").root, Value(std::string_view(name)));
  EXPECT_EQ(unpickle("\x80\x02X\x01\x00\x01\x00"s + name + "a.").root, Value(LongText{65537}));
}

TEST(Unpickler, BoundsWhatAPickleMayAskFor) {
  EXPECT_THAT(error_of_body(repeated("N", 65537)), HasSubstr("the stack is too deep"));
  EXPECT_THAT(error_of_body(repeated("(", 257)), HasSubstr("nested too deeply"));
  EXPECT_THAT(error_of_body(fmt::format("]{}", repeated(")a", (1 << 20) + 1))),
              HasSubstr("too many objects"));
  EXPECT_THAT(error_of_body(std::string(16 << 20, 'N')), HasSubstr("a pickle of 16777219 bytes"));
  EXPECT_THAT(error_of_body("X\xff\xff\xff\xff"), HasSubstr("the pickle is truncated"));
  EXPECT_THAT(error_of_body("\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01"), HasSubstr("more than 64 bits"));
  std::string puts = "N";
  for (unsigned slot = 0; slot <= 1 << 20; ++slot) {
    puts += {'r', static_cast<char>(slot), static_cast<char>(slot >> 8), static_cast<char>(slot >> 16), '\0'};
  }
  EXPECT_THAT(error_of_body(puts), HasSubstr("too many memo entries"));
}

// Neither deep nesting nor a cycle may overflow the stack or leak when the document goes.
TEST(Unpickler, OutlivesDeepAndCyclicValues) {
  EXPECT_EQ(error_of_body(fmt::format("N{}", repeated("\x85", 1 << 20))), "");
  EXPECT_EQ(error_of_body("}q\x01X\x01\0\0\0ah\x01s"s), "");
  EXPECT_EQ(error_of_body("]q\x01h\x01\x61"), "");
}

}  // namespace
}  // namespace convoy::pickle
