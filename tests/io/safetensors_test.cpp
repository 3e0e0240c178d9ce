#include "convoy/safetensors.h"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <limits>

#include "convoy/checkpoint.h"
#include "engine/io/safetensors_header.h"
#include "tests/io/convnet_state.h"
#include "tests/io/safetensors_fixture.h"

namespace convoy {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

TEST_F(Safetensors, RoundTripKeepsAll) {
  EXPECT_EQ(round_trip(convnet_state()).state, convnet_state());
  const StateDict state = {{"z", {Shape{}, {0x1p53}, DType::int64}},
                           {"a", {Shape{2}, {-0x1p31, 0x1p31 - 1}, DType::int32}},
                           {"", zeros({0, 3})},
                           {"one \"quoted\\\"", zeros({1, 1, 1, 1, 1})},
                           {"gr\xc3\xbc\xc3\x9f", ramp({3}, 1)}};
  const SafetensorsMetadata metadata = {{"format", "pt"}, {"", "line\nand \"quote\" \xe2\x82\xac"}};
  const SafetensorsFile again = round_trip(state, metadata);
  EXPECT_EQ(again.state, state);
  EXPECT_EQ(again.metadata, metadata);
  EXPECT_EQ(read_safetensors_metadata(file_), metadata);
  EXPECT_EQ(round_trip({}).state, StateDict{});
}

TEST_F(Safetensors, RoundTripKeepsEveryBit) {
  using Limits = std::numeric_limits<float>;
  const float payload = std::bit_cast<float>(0xffc12345U);  // a quiet NaN with a sign and a payload
  const std::vector<double> values = {0.0,
                                      -0.0,
                                      Limits::infinity(),
                                      -Limits::infinity(),
                                      payload,
                                      Limits::denorm_min(),
                                      Limits::max(),
                                      Limits::lowest()};
  const StateDict state = round_trip({{"x", {Shape{8}, values}}}).state;
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint64_t>(state[0].second.values[i]),
              std::bit_cast<std::uint64_t>(values[i]));
  }
}

// The header has the tensors in the state's order; the bytes have wide elements first, so that all are
// aligned.
TEST_F(Safetensors, WritesTheFormat) {
  save_safetensors({{"a", {Shape{2}, {1.0, -2.0}}}, {"n", {Shape{}, {7.0}, DType::int64}}}, file_,
                   {{"k", "v"}});
  const std::string header =
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
      R"("n":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(read_file(file_), with_header(padded, "\x07\0\0\0\0\0\0\0\0\0\x80\x3f\0\0\0\xc0"s));
}

TEST_F(Safetensors, ReadsEveryTypeOfACheckpoint) {
  const StateDict state = loaded(with_header(R"({"f16":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},)"
                                             R"("bf16":{"dtype":"BF16","shape":[1],"data_offsets":[6,8]},)"
                                             R"("f64":{"dtype":"F64","shape":[],"data_offsets":[8,16]},)"
                                             R"("i32":{"dtype":"I32","shape":[1,1],"data_offsets":[16,20]},)"
                                             R"("i64":{"dtype":"I64","shape":[1],"data_offsets":[20,28]},)"
                                             R"("f32":{"dtype":"F32","shape":[1],"data_offsets":[28,32]}})",
                                             "\0\x3c\x01\0\0\xfc"s  // 1, the smallest half, -infinity
                                             "\x40\xc0"s            // -3
                                             "\x9a\x99\x99\x99\x99\x99\xb9\x3f"s  // 0.1
                                             "\xff\xff\xff\xff"s
                                             "\0\0\0\0\0\0\x20\0"s
                                             "\0\0\x20\x40"s))
                              .state;
  ASSERT_EQ(state.size(), 6U);
  EXPECT_EQ(state[0].second,
            (HostTensor{Shape{3}, {1.0, 0x1p-24, -std::numeric_limits<double>::infinity()}}));
  EXPECT_EQ(state[1].second, (HostTensor{Shape{1}, {-3.0}}));
  EXPECT_EQ(state[2].second, (HostTensor{Shape{}, {0.1}}));
  EXPECT_EQ(state[3].second, (HostTensor{Shape{1, 1}, {-1.0}, DType::int32}));
  EXPECT_EQ(state[4].second, (HostTensor{Shape{1}, {0x1p53}, DType::int64}));
  EXPECT_EQ(state[5].second, (HostTensor{Shape{1}, {2.5}}));
}

TEST_F(Safetensors, HeaderOrderNeedNotBeTheFiles) {
  const std::string header = "{" + tensor("b", 2) + "," + tensor("a", 0) + "}";
  const StateDict state = loaded(with_header(header, "\0\x3c\0\x40"s)).state;
  EXPECT_EQ(state, (StateDict{{"b", {Shape{1}, {2.0}}}, {"a", {Shape{1}, {1.0}}}}));
}

// Whatever was read before it, and in which order.
TEST_F(Safetensors, ATensorIsReadFromItsOwnPlace) {
  const StateDict state = {{"a", ramp({3}, 1)}, {"n", {Shape{}, {7.0}, DType::int64}}, {"b", ramp({2}, 2)}};
  save_safetensors(state, file_);
  InputFile file(file_);
  const SafetensorsHeader header = read_safetensors_header(file);
  ASSERT_EQ(header.tensors.size(), 3U);
  for (const std::size_t i : {2U, 0U, 1U, 1U}) {
    EXPECT_EQ(read_safetensors(header.tensors[i], header.data_begin, file), state[i].second) << i;
  }
}

TEST_F(Safetensors, Int64BeyondADoubleIsRefused) {
  const std::string header = R"({"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})";
  EXPECT_THAT(error_of_bytes(with_header(header, "\x01\0\0\0\0\0\x20\0"s)),
              HasSubstr("tensor \"n\": its value 9007199254740993 is beyond 2^53"));
}

TEST_F(Safetensors, TheContentTellsNotTheName) {
  for (const char* name : {"model.ckpt", "model", "model.safetensors"}) {
    save_safetensors(convnet_state(), folder_ / name);
    EXPECT_EQ(load_checkpoint(folder_ / name), convnet_state()) << name;
  }
  save_checkpoint(convnet_state(), file_);
  EXPECT_EQ(load_checkpoint(file_), convnet_state());
  EXPECT_EQ(read_safetensors_metadata(file_), SafetensorsMetadata());
  EXPECT_THAT(error_of([&] { load_safetensors(file_); }), HasSubstr("not a safetensors file"));
  EXPECT_THAT(error_of([&] { load_training(folder_ / "model.ckpt"); }),
              HasSubstr("it is a safetensors file, which holds tensors alone and no training"));
}

TEST_F(Safetensors, ABadStateLeavesTheOldFile) {
  save_safetensors(convnet_state(), file_);
  const auto refused = [&](const StateDict& state, const SafetensorsMetadata& metadata = {}) {
    const std::string message = error_of([&] { save_safetensors(state, file_, metadata); });
    EXPECT_THAT(message, HasSubstr("cannot save safetensors " + file_.string() + ": "));
    return message;
  };
  EXPECT_THAT(refused({{"x", {Shape{2}, {1.0}}}}), HasSubstr("tensor \"x\": 1 values for its shape [2]"));
  EXPECT_THAT(refused({{"x", zeros({1})}, {"x", zeros({1})}}), HasSubstr("two tensors \"x\""));
  EXPECT_THAT(refused({{"__metadata__", zeros({1})}}), HasSubstr("\"__metadata__\" is not a tensor's name"));
  EXPECT_THAT(refused({{"\xff", zeros({1})}}), HasSubstr("is not a tensor's name"));
  EXPECT_THAT(refused({{"x", {Shape{}, {0.5}, DType::int64}}}),
              HasSubstr("its value 0.5 does not fit its type"));
  EXPECT_THAT(refused({}, {{"k", "\xff"}}), HasSubstr("\"\\xff\" is not UTF-8"));
  EXPECT_EQ(load_safetensors(file_).state, convnet_state());
  EXPECT_EQ(folder_.files(), 1);
}

TEST_F(Safetensors, EveryTruncationIsRefused) {
  save_safetensors({{"weight", ramp({2, 3}, 0)}, {"steps", {Shape{}, {7.0}, DType::int64}}}, file_,
                   {{"k", "v"}});
  const std::string bytes = read_file(file_);
  for (std::size_t length = bytes.size(); length-- > 0;) {
    EXPECT_NE(error_of_bytes(bytes.substr(0, length)), "") << length;
  }
}

TEST_F(Safetensors, EveryCorruptByteIsRefusedOrRead) {
  const StateDict state = {{"weight", ramp({2, 3}, 0)}, {"steps", {Shape{}, {7.0}, DType::int64}}};
  save_safetensors(state, file_);
  const std::string bytes = read_file(file_);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      if (!error_of_bytes(damaged).empty()) continue;
      for (const auto& [name, values] : load_safetensors(file_).state) {
        EXPECT_EQ(std::ssize(values.values), values.shape.count());
      }
    }
  }
}

}  // namespace
}  // namespace convoy
