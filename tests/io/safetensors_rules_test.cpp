// The rules of the format, and Convoy's own limits.
#include <gmock/gmock.h>

#include <map>

#include "tests/io/safetensors_fixture.h"

namespace convoy {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

TEST_F(Safetensors, TheLengthOfTheHeaderIsChecked) {
  EXPECT_THAT(error_of_bytes(""), HasSubstr("truncated"));
  EXPECT_THAT(error_of_bytes("\x02\0\0\0\0\0\0"s), HasSubstr("has 8 bytes at least"));
  EXPECT_THAT(error_of_bytes(little_endian(2)), HasSubstr("its header has 2 bytes, and there are 0"));
  EXPECT_THAT(error_of_bytes(little_endian(3) + "{}"), HasSubstr("its header has 3 bytes, and there are 2"));
  EXPECT_THAT(error_of_bytes(little_endian(100'000'001) + "{}"),
              HasSubstr("100000001 bytes, more than 100000000"));
  EXPECT_THAT(error_of_bytes(little_endian(~std::uint64_t{0}) + "{}"), HasSubstr("more than 100000000"));
  EXPECT_EQ(error_of_bytes(little_endian(2) + "{}"), "");
}

TEST_F(Safetensors, TheHeaderIsOneJsonObject) {
  EXPECT_EQ(error_of_header("{}   ", 0), "");
  EXPECT_THAT(error_of_header(" {}", 0), HasSubstr("does not begin with a brace"));
  EXPECT_THAT(error_of_header("[]", 0), HasSubstr("does not begin with a brace"));
  EXPECT_THAT(error_of_header("", 0), HasSubstr("does not begin with a brace"));
  EXPECT_THAT(error_of_header("{}{}", 0), HasSubstr("malformed JSON at byte 3"));
  EXPECT_THAT(error_of_header("{}\0 "s, 0), HasSubstr("a zero byte"));
  EXPECT_THAT(error_of_header("{", 0), HasSubstr("malformed JSON"));
  EXPECT_THAT(error_of_header("{\"\xff\":0}", 0), HasSubstr("malformed JSON"));
  EXPECT_THAT(error_of_header("{\"a\":1e999}", 0), HasSubstr("malformed JSON"));
}

TEST_F(Safetensors, OnlyTensorsAndTextAreInIt) {
  const auto of = [&](const std::string& inner, std::size_t bytes = 2) {
    return error_of_header("{\"a\":" + inner + "}", bytes);
  };
  EXPECT_THAT(of("1"), HasSubstr("its header: \"a\" is not the description of a tensor"));
  EXPECT_THAT(of("null"), HasSubstr("is not the description"));
  EXPECT_THAT(of("[]"), HasSubstr("is not the description"));
  EXPECT_THAT(of("{}"), HasSubstr("tensor \"a\": it lacks one of"));
  EXPECT_THAT(of(R"({"dtype":"F16","shape":[1]})"), HasSubstr("it lacks one of"));
  EXPECT_THAT(of(R"({"dtype":"F16","shape":[1],"data_offsets":[0,2],"more":1})"),
              HasSubstr("an entry \"more\", which the format does not know"));
  EXPECT_THAT(of(R"({"dtype":1,"shape":[1],"data_offsets":[0,2]})"),
              HasSubstr("its \"dtype\" has the wrong type"));
  EXPECT_THAT(of(R"({"dtype":["F16"],"shape":[1],"data_offsets":[0,2]})"),
              HasSubstr("its \"dtype\" has the wrong"));
  EXPECT_THAT(of(R"({"dtype":"F16","shape":1,"data_offsets":[0,2]})"),
              HasSubstr("its \"shape\" has the wrong type"));
  EXPECT_THAT(of(R"({"dtype":"F16","shape":[-1],"data_offsets":[0,2]})"),
              HasSubstr("something else than whole"));
  EXPECT_THAT(of(R"({"dtype":"F16","shape":[1.0],"data_offsets":[0,2]})"),
              HasSubstr("something else than whole"));
  EXPECT_THAT(of(R"({"dtype":"F16","shape":[[1]],"data_offsets":[0,2]})"),
              HasSubstr("something else than whole"));
  EXPECT_THAT(of(R"({"dtype":"F16","shape":[9223372036854775808],"data_offsets":[0,2]})"),
              HasSubstr("its \"shape\" has the number 9223372036854775808, which overflows 63 bits"));
  EXPECT_THAT(of(R"({"dtype":"F16","shape":[1],"data_offsets":[0]})"), HasSubstr("are not two numbers"));
  EXPECT_THAT(of(R"({"dtype":"F16","shape":[1],"data_offsets":[0,1,2]})"), HasSubstr("more than 2 numbers"));
  EXPECT_THAT(of(R"({"dtype":"F17","shape":[1],"data_offsets":[0,2]})"),
              HasSubstr("its type \"F17\" is unknown"));
  EXPECT_THAT(of(R"({"dtype":"U8","shape":[2],"data_offsets":[0,2]})"),
              HasSubstr("tensors of type U8 are not read; convert them to F32"));
  EXPECT_THAT(error_of_header("{\"a\\n\":{}}", 0), HasSubstr("\"a\\x0a\" is not a tensor's name"));
  std::string deep = "{\"dtype\":\"F16\",\"shape\":[0";
  for (int i = 0; i < 64; ++i) deep += ",1";
  EXPECT_THAT(of(deep + "],\"data_offsets\":[0,0]}", 0), HasSubstr("more than 64 numbers"));
}

TEST_F(Safetensors, MetadataIsText) {
  EXPECT_EQ(error_of_header(R"({"__metadata__":{}})", 0), "");
  EXPECT_EQ(error_of_header(R"({"__metadata__":null})", 0), "");
  EXPECT_THAT(error_of_header(R"({"__metadata__":{"a":null}})", 0), HasSubstr("is not text"));
  EXPECT_THAT(error_of_header(R"({"__metadata__":{"a":1}})", 0),
              HasSubstr("\"__metadata__\": the value of \"a\" is not text"));
  EXPECT_THAT(error_of_header(R"({"__metadata__":{"a":{}}})", 0), HasSubstr("is not text"));
  EXPECT_THAT(error_of_header(R"({"__metadata__":"a"})", 0), HasSubstr("is not the description"));
}

TEST_F(Safetensors, NoKeyIsThereTwice) {
  EXPECT_THAT(error_of_header("{" + tensor("a", 0) + "," + tensor("a", 2) + "}", 4),
              HasSubstr("two tensors \"a\""));
  EXPECT_THAT(error_of_header(R"({"__metadata__":{},"__metadata__":{}})", 0),
              HasSubstr("\"__metadata__\": it is there twice"));
  EXPECT_THAT(error_of_header(R"({"__metadata__":null,"__metadata__":{}})", 0),
              HasSubstr("it is there twice"));
  EXPECT_THAT(error_of_header(R"({"__metadata__":{"a":"","a":""}})", 0),
              HasSubstr("key \"a\" is there twice"));
  EXPECT_THAT(error_of_header(R"({"a":{"dtype":"F16","dtype":"F16","shape":[1],"data_offsets":[0,2]}})", 2),
              HasSubstr("its \"dtype\" is there twice"));
}

TEST_F(Safetensors, TensorsFillTheFileWithoutHolesOrOverlaps) {
  const auto two = [&](int first, int second, std::size_t bytes) {
    return error_of_header("{" + tensor("a", first) + "," + tensor("b", second) + "}", bytes);
  };
  EXPECT_EQ(two(0, 2, 4), "");
  EXPECT_EQ(two(2, 0, 4), "");
  EXPECT_THAT(two(0, 4, 6),
              HasSubstr("tensor \"b\": its bytes begin at 4, behind a hole, which begins at 2"));
  EXPECT_THAT(two(2, 4, 6),
              HasSubstr("tensor \"a\": its bytes begin at 2, behind a hole, which begins at 0"));
  EXPECT_THAT(two(0, 1, 3),
              HasSubstr("tensor \"b\": its bytes begin at 1, within another tensor, which ends at 2"));
  EXPECT_THAT(two(0, 0, 2), HasSubstr("within another tensor"));
  EXPECT_THAT(two(0, 2, 3), HasSubstr("it is truncated: its tensors have 4 bytes, and there are 3"));
  EXPECT_THAT(two(0, 2, 5), HasSubstr("its tensors end at byte 4 of its data, which go on to 5"));
  EXPECT_THAT(error_of_header("{}", 1), HasSubstr("its tensors end at byte 0 of its data, which go on to 1"));
}

TEST_F(Safetensors, SizesAgree) {
  const auto of = [&](const std::string& type, const std::string& shape, const std::string& offsets,
                      std::size_t bytes) {
    return error_of_header(
        "{\"a\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}",
        bytes);
  };
  EXPECT_EQ(of("F32", "[]", "[0,4]", 4), "");
  EXPECT_EQ(of("F32", "[0,281474976710655,281474976710655]", "[0,0]", 0), "");
  EXPECT_EQ(of("F32", "[9223372036854775807,0]", "[0,0]", 0), "");
  EXPECT_THAT(of("F32", "[1]", "[0,2]", 2), HasSubstr("it has 2 bytes, which do not go with F32 [1]"));
  EXPECT_THAT(of("F32", "[1]", "[4,0]", 4), HasSubstr("its bytes end at 0, before their beginning at 4"));
  EXPECT_THAT(of("F4", "[3]", "[0,1]", 1), HasSubstr("do not go with F4 [3]"));
  EXPECT_THAT(of("F64", "[281474976710655,281474976710655]", "[0,8]", 8), HasSubstr("overflows 63 bits"));
  EXPECT_THAT(of("F64", "[281474976710655,281474976710655,0]", "[0,0]", 0), HasSubstr("overflows 63 bits"));
}

// All types of the format, of which those with a floating point and two integers are read.
TEST_F(Safetensors, EveryTypeHasItsSize) {
  const std::map<std::string, std::size_t> read = {{"F64", 64},  {"F32", 32}, {"F16", 16},
                                                   {"BF16", 16}, {"I64", 64}, {"I32", 32}};
  const std::map<std::string, std::size_t> not_read = {
      {"BOOL", 8},    {"U8", 8},      {"I8", 8},      {"U16", 16},       {"I16", 16},    {"U32", 32},
      {"U64", 64},    {"C64", 64},    {"F8_E4M3", 8}, {"F4", 4},         {"F8_E5M2", 8}, {"F8_E4M3FNUZ", 8},
      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E8M0", 8}, {"F8_E5M2FNUZ", 8}};
  const auto of = [&](const std::string& type, std::size_t bytes) {
    return error_of_header("{\"a\":{\"dtype\":\"" + type + "\",\"shape\":[8],\"data_offsets\":[0," +
                               std::to_string(bytes) + "]}}",
                           bytes);
  };
  for (const auto* const types : {&read, &not_read}) {
    for (const auto& [type, bits] : *types) {  // eight elements have as many bytes
      if (types == &read) {
        EXPECT_EQ(of(type, bits), "");
      } else {
        EXPECT_THAT(of(type, bits), HasSubstr("tensor \"a\": tensors of type " + type + " are not read"));
      }
      for (const std::size_t bytes : {bits - 1, bits + 1, 2 * bits}) {
        EXPECT_THAT(of(type, bytes), HasSubstr("bytes, which do not go with " + type + " [8]"));
      }
    }
  }
}

TEST_F(Safetensors, TensorsAndMetadataAreLimited) {
  const auto tensors = [](int count) {
    std::string header = "{";
    for (int i = 0; i < count; ++i) {
      header += (i == 0 ? "\"" : ",\"") + std::to_string(i) +
                R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
    }
    return header + "}";
  };
  EXPECT_EQ(error_of_header(tensors(100'000), 0), "");
  EXPECT_THAT(error_of_header(tensors(100'001), 0), HasSubstr("its header: it has more than 100000 tensors"));
  const auto metadata = [](int count) {
    std::string header = "{\"__metadata__\":{";
    for (int i = 0; i < count; ++i) header += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":\"\"";
    return header + "}}";
  };
  EXPECT_EQ(error_of_header(metadata(10'000), 0), "");
  EXPECT_THAT(error_of_header(metadata(10'001), 0),
              HasSubstr("\"__metadata__\": it has more than 10000 entries"));
}

}  // namespace
}  // namespace convoy
