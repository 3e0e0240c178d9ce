#include "engine/io/state_pickle.h"

#include <gmock/gmock.h>

#include <cstring>
#include <limits>

#include "convoy/error.h"
#include "tests/io/pickle_assembler.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

/// Six floats, 0 to 5, as storage "0"; no other storage.
std::string six_floats(std::string_view key) {
  if (key != "0") throw Error("no such storage");
  std::string bytes(6 * sizeof(float), '\0');
  for (int i = 0; i < 6; ++i) {
    const auto value = static_cast<float>(i);
    std::memcpy(bytes.data() + sizeof value * static_cast<std::size_t>(i), &value, sizeof value);
  }
  return bytes;
}

StateDict read(const std::string& pickle, std::uint64_t max_elements = 1000) {
  return state_from_pickle(pickle, six_floats, max_elements).state;
}

HostTensor read_one(const TensorText& text) {
  return read(PickleAssembler::state().entry("x", text).stop()).at(0).second;
}

std::string error_of_pickle(const std::string& pickle) {
  return error_of([&] { read(pickle); });
}

std::string error_of_tensor(const TensorText& text) {
  return error_of([&] { read_one(text); });
}

TEST(StatePickle, ReadsStridedViews) {
  EXPECT_THAT(read_one({}).values, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(read_one({.shape = {3, 2}, .strides = {1, 3}}).values, ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(read_one({.offset = 1, .shape = {2}, .strides = {3}}).values, ElementsAre(1, 4));
  EXPECT_THAT(read_one({.offset = 5, .shape = {}, .strides = {}}).values, ElementsAre(5));
  EXPECT_THAT(read_one({.shape = {2, 2}, .strides = {0, 4}}).values, ElementsAre(0, 4, 0, 4));
  EXPECT_THAT(read_one({.offset = 6, .shape = {0, 3}, .strides = {3, 1}}).values, ElementsAre());
  // A dimension of one is never stepped along, so its stride may be anything.
  EXPECT_THAT(read_one({.shape = {1, 2}, .strides = {kHuge, 5}}).values, ElementsAre(0, 5));
  EXPECT_EQ(read_one({.shape = {1, 2}, .strides = {kHuge, 5}}).shape, Shape({1, 2}));
  EXPECT_THAT(read_one({.shape = {2, 1}, .strides = {1, kHuge}}).values, ElementsAre(0, 1));
}

TEST(StatePickle, SharedStoragesAreReadOnce) {
  int reads = 0;
  const std::string pickle =
      PickleAssembler::state().entry("a", {}).entry("b", {.shape = {6}, .strides = {1}}).stop();
  const StateDict state = state_from_pickle(
                              pickle, [&](std::string_view key) { return ++reads, six_floats(key); }, 12)
                              .state;
  EXPECT_EQ(reads, 1);
  EXPECT_EQ(state[0].second.values, state[1].second.values);
  EXPECT_THAT(error_of([&] { read(pickle, 11); }), HasSubstr("tensor \"b\": it makes the tensors larger"));
}

TEST(StatePickle, RefusesViewsOutsideTheirStorage) {
  EXPECT_THAT(error_of_tensor({.offset = 1}),
              HasSubstr("tensor \"x\": its offset and strides lead to element 6"));
  EXPECT_THAT(error_of_tensor({.strides = {4, 1}}), HasSubstr("lead to element 6 of a storage of 6"));
  EXPECT_THAT(error_of_tensor({.offset = kHuge, .shape = {}, .strides = {}}), HasSubstr("lead to element"));
  EXPECT_THAT(error_of_tensor({.offset = kHuge, .shape = {2}, .strides = {1}}), HasSubstr("overflows"));
  EXPECT_THAT(error_of_tensor({.shape = {3}, .strides = {kHuge}}), HasSubstr("overflows"));
  EXPECT_THAT(error_of_tensor({.shape = {3, 3}, .strides = {kHuge / 2, kHuge / 2}}), HasSubstr("overflows"));
  EXPECT_THAT(error_of_tensor({.offset = -1}), HasSubstr("its offset is not a count"));
  EXPECT_THAT(error_of_tensor({.offset = 5, .strides = {-3, -1}}), HasSubstr("its strides is not a count"));
  EXPECT_THAT(error_of_tensor({.shape = {-2, 3}}), HasSubstr("its shape is not a count"));
}

TEST(StatePickle, RefusesShapesThatOverflowOrExpand) {
  EXPECT_THAT(error_of_tensor({.shape = {1LL << 32, 1LL << 32}, .strides = {0, 0}}),
              HasSubstr("overflows 63 bits"));
  EXPECT_THAT(error_of_tensor({.shape = {1LL << 32, 1LL << 32, 0}, .strides = {0, 0, 0}}),
              HasSubstr("overflows"));
  EXPECT_THAT(error_of_tensor({.shape = {kHuge}, .strides = {0}}),
              HasSubstr("more elements than its storage"));
  EXPECT_THAT(error_of_tensor({.shape = {7}, .strides = {0}}), HasSubstr(".contiguous()"));
  EXPECT_THAT(error_of_tensor({.shape = {2, 3}, .strides = {1}}), HasSubstr("not as many as its dimensions"));
  const TensorText deep{.shape = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
  EXPECT_THAT(error_of_tensor(deep), HasSubstr("more than 64 dimensions"));
}

TEST(StatePickle, RefusesStoragesOfAnotherSize) {
  EXPECT_THAT(error_of_tensor({.count = 7}),
              HasSubstr("its storage \"0\" has 24 bytes, not 7 elements of 4 bytes"));
  EXPECT_THAT(error_of_tensor({.count = kHuge}), HasSubstr("has 24 bytes"));
  EXPECT_THAT(error_of_tensor({.count = (1LL << 62) + 6}),
              HasSubstr("has 24 bytes"));  // 24 bytes modulo 2^64
  EXPECT_THAT(error_of_tensor({.count = -6}), HasSubstr("its storage size is not a count"));
  EXPECT_THAT(error_of_tensor({.storage_type = "DoubleStorage"}), HasSubstr("not 6 elements of 8 bytes"));
  EXPECT_THAT(error_of_tensor({.key = "1"}), HasSubstr("no such storage"));
  EXPECT_THAT(error_of_pickle(
                  PickleAssembler::state().entry("a", {}).entry("b", {.storage_type = "IntStorage"}).stop()),
              HasSubstr("another tensor describes its storage \"0\" differently"));
}

TEST(StatePickle, RefusesMalformedTensors) {
  const auto state = [] { return PickleAssembler::state().string("x"); };
  const auto error = [](const PickleAssembler& value) {
    return error_of_pickle(PickleAssembler(value).raw("s").stop());
  };

  EXPECT_THAT(error(state().tensor_head({}).raw("tR")), HasSubstr("malformed tensor"));
  EXPECT_THAT(error(state().tensor_head({}).raw("\x89}(NNutR")), HasSubstr("backward hooks"));
  EXPECT_THAT(error(state().tensor_head({}).raw("\x89NtR")), HasSubstr("backward hooks"));
  EXPECT_THAT(error(state().tensor_head({}).raw("\x89}}(NNutR")), HasSubstr("conjugated"));
  EXPECT_THAT(error(state().tensor_head({}).raw("\x89}NNtR")), HasSubstr("malformed tensor"));
  EXPECT_EQ(error(state().tensor_head({}).raw("\x89}NtR")), "");
  EXPECT_EQ(error(state().tensor_head({}).raw("\x89}}tR")), "");

  const auto call = [&](std::string_view arguments) {
    return error(state().global("torch._utils", "_rebuild_tensor_v2").raw("(").raw(arguments).raw("tR"));
  };
  EXPECT_THAT(call("NK\0))\x89}"s), HasSubstr("it has no storage"));
  EXPECT_THAT(call(")QK\0))\x89}"s), HasSubstr("storage reference is malformed"));
  EXPECT_THAT(call("(NNNNNtQK\0))\x89}"s), HasSubstr("storage reference is malformed"));
  EXPECT_THAT(call("(X\x07\0\0\0storageNNNNtQK\0))\x89}"s), HasSubstr("storage reference is malformed"));
}

TEST(StatePickle, ReadsParameters) {
  const auto parameter = [](std::string_view rest) {
    return PickleAssembler::state()
        .string("x")
        .global("torch._utils", "_rebuild_parameter")
        .raw("(")
        .raw(rest);
  };
  const std::string pickle = parameter("").tensor({}).raw("\x88").ordered_dict().raw("tRs").stop();
  EXPECT_THAT(read(pickle).at(0).second.values, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(error_of_pickle(parameter("N\x88}tRs").stop()), HasSubstr("malformed parameter"));
  EXPECT_THAT(error_of_pickle(parameter("tRs").stop()), HasSubstr("malformed parameter"));
}

TEST(StatePickle, RefusesWhatIsNoStateDict) {
  EXPECT_THAT(error_of_pickle("\x80\x02N."),
              HasSubstr("no dict of tensors; save the model's state dict alone"));
  EXPECT_THAT(error_of_pickle("\x80\x02]."), HasSubstr("no dict of tensors"));
  EXPECT_THAT(error_of_pickle(PickleAssembler().raw("\x80\x02").tensor({}).stop()),
              HasSubstr("no dict of tensors"));
  EXPECT_THAT(error_of_pickle(PickleAssembler::state().raw("K\x01").tensor({}).raw("s").stop()),
              HasSubstr("entry 0 has no name"));
  EXPECT_THAT(error_of_pickle(PickleAssembler::state().entry("a\nb", {}).stop()),
              HasSubstr("\"a\\x0ab\" is not"));
  EXPECT_THAT(error_of_pickle(PickleAssembler::state().entry("a", {}).entry("a", {}).stop()),
              HasSubstr("there are two tensors \"a\""));
  EXPECT_TRUE(read("\x80\x02}.").empty());
}

TEST(StatePickle, RefusesIntegersThatADoubleCannotHold) {
  const auto read_long = [](std::int64_t value) {
    const std::string pickle =
        PickleAssembler::state()
            .entry("n", {.storage_type = "LongStorage", .count = 1, .shape = {}, .strides = {}})
            .stop();
    const std::string bytes(reinterpret_cast<const char*>(&value), sizeof value);
    return state_from_pickle(
               pickle, [&](std::string_view) { return bytes; }, 1)
        .state.at(0)
        .second;
  };
  for (const std::int64_t limit : {1LL << 53, -(1LL << 53)}) {
    EXPECT_EQ(read_long(limit), (HostTensor{Shape{}, {static_cast<double>(limit)}, DType::int64}));
    EXPECT_THAT(error_of([&] { read_long(limit + (limit > 0 ? 1 : -1)); }), HasSubstr("beyond 2^53"));
  }
  EXPECT_THAT(error_of([&] { read_long(std::numeric_limits<std::int64_t>::min()); }),
              HasSubstr("beyond 2^53"));
}

/// Two tensors, memo entries and the metadata of a module, with every kind of opcode that a state dict has.
std::string rich_pickle() {
  return PickleAssembler::state()
      .raw("q\x01(")
      .string("a")
      .tensor({})
      .string("b")
      .tensor({.offset = 1, .shape = {2}, .strides = {2}})
      .raw("u}")
      .string("_metadata")
      .ordered_dict()
      .raw("(")
      .string("")
      .raw("}")
      .string("version")
      .raw("r\x02\x01\x01\x01K\x01s")
      .string("bn")
      .raw("}j\x02\x01\x01\x01M\x01\x01susb")
      .stop();
}

TEST(StatePickle, EveryPrefixIsRefused) {
  const std::string pickle = rich_pickle();
  ASSERT_EQ(read(pickle).size(), 2U);
  for (std::size_t length = 0; length < pickle.size(); ++length) {
    // A copy of exactly that length lets AddressSanitizer see a read beyond it.
    const std::string prefix = pickle.substr(0, length);
    EXPECT_NE(error_of_pickle(prefix), "") << length;
  }
}

TEST(StatePickle, EveryCorruptByteIsRefusedOrRead) {
  const std::string pickle = rich_pickle();
  for (std::size_t at = 0; at < pickle.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string corrupt = pickle;
      corrupt[at] = static_cast<char>(value);
      static_cast<void>(error_of_pickle(corrupt));  // must return
    }
  }
}

TEST(StatePickle, RefusesToWriteWhatCannotBeRead) {
  const auto error = [](const StateDict& state) { return error_of([&] { state_to_pickle(state); }); };
  EXPECT_THAT(error({{"a", zeros({1})}, {"a", zeros({1})}}), HasSubstr("there are two tensors \"a\""));
  EXPECT_THAT(error({{"a\t", zeros({1})}}), HasSubstr("is not a tensor's name"));
  EXPECT_THAT(error({{"a", {Shape{2, 2}, {1.0}}}}), HasSubstr("1 values do not fill its shape [2, 2]"));

  const auto value_error = [](double value, DType dtype) {
    return error_of([&] { storage_bytes({"a", {Shape{}, {value}, dtype}}); });
  };
  EXPECT_THAT(value_error(1e39, DType::float32), HasSubstr("tensor \"a\": its value 1e+39 does not fit"));
  EXPECT_EQ(value_error(std::numeric_limits<double>::infinity(), DType::float32), "");
  EXPECT_NE(value_error(std::numeric_limits<double>::infinity(), DType::int64), "");
  EXPECT_NE(value_error(std::numeric_limits<double>::quiet_NaN(), DType::int32), "");
  EXPECT_NE(value_error(0.5, DType::int64), "");
  EXPECT_EQ(value_error(0x1p53, DType::int64), "");
  EXPECT_NE(value_error(0x1p53 + 2, DType::int64), "");
  EXPECT_EQ(value_error(-0x1p31, DType::int32), "");
  EXPECT_NE(value_error(0x1p31, DType::int32), "");
}

}  // namespace
}  // namespace convoy
