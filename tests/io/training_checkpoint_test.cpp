// State dicts within training checkpoints, and what stands where one belongs.
#include <gmock/gmock.h>

#include <cstring>

#include "convoy/error.h"
#include "engine/io/state_pickle.h"
#include "tests/io/pickle_assembler.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using testing::ElementsAre;
using testing::HasSubstr;

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

std::string error_of_pickle(const std::string& pickle) {
  return error_of([&] { state_from_pickle(pickle, six_floats, 1000); });
}

/// A dict with one tensor.
PickleAssembler& add_state(PickleAssembler& to, std::string_view key) {
  return to.string(key).ordered_dict().entry("w", {}).raw("s");
}

TEST(TrainingCheckpoint, FindsTheOnlyStateDictOfATrainingCheckpoint) {
  for (const char* key : {"model", "state_dict", "net", "model_state_dict", "weights"}) {
    // The state of an optimizer holds tensors, too: {"optimizer": {"state": {0: {"exp_avg": ...}}}}.
    PickleAssembler pickle =
        PickleAssembler::state().string("epoch").raw("K\x03s").string("optimizer").raw("}");
    pickle.string("state").raw("}K\x00}"s).entry("exp_avg", {}).raw("sss");
    add_state(pickle, key)
        .string("best")
        .tensor({})
        .raw("s")
        .string("acc")
        .global("numpy.core.multiarray", "scalar")
        .global("numpy", "dtype");
    pickle.string("f8").raw("\x89\x88\x87R(K\x03").string("<").raw("NNNtb").string("bytes").raw("\x86Rs");
    const PickledState found = state_from_pickle(pickle.stop(), six_floats, 1000);
    EXPECT_EQ(found.place, "\"" + std::string(key) + "\"");
    ASSERT_EQ(found.state.size(), 1U);
    EXPECT_EQ(found.state[0].first, "w");
    EXPECT_THAT(found.state[0].second.values, ElementsAre(0, 1, 2, 3, 4, 5));
  }
  PickleAssembler deeper = PickleAssembler::state().string("state").raw("}");
  EXPECT_EQ(state_from_pickle(add_state(deeper, "model").raw("s").stop(), six_floats, 1000).place,
            "\"state\" -> \"model\"");
  EXPECT_EQ(state_from_pickle(PickleAssembler::state().entry("w", {}).stop(), six_floats, 1000).place, "");
}

/// An entry with an array of NumPy's, as Python's pickler writes it in protocol 2, with that many bytes.
PickleAssembler& add_array(PickleAssembler& to, const std::string& key, std::size_t bytes) {
  to.string(key).global("numpy.core.multiarray", "_reconstruct").global("numpy", "ndarray");
  to.raw("K\0"sv)
      .raw("\x85")
      .global("_codecs", "encode")
      .string("b")
      .string("latin1")
      .raw("\x86R\x87R(K\x01");
  to.integer(static_cast<std::int64_t>(bytes)).raw("\x85").global("numpy", "dtype").string("u1");
  to.raw("\x89\x88\x87R\x89").global("_codecs", "encode").string(std::string(bytes, 'x'));
  return to.string("latin1").raw("\x86Rtbs");
}

TEST(TrainingCheckpoint, ArraysOfNumPyLieBesideAStateOrAreNamed) {
  for (const std::size_t bytes : {std::size_t{8}, std::size_t{1} << 16, std::size_t{300'000}}) {
    SCOPED_TRACE(bytes);
    PickleAssembler pickle = PickleAssembler::state();
    add_state(pickle, "model");
    const PickledState found =
        state_from_pickle(add_array(pickle, "history", bytes).stop(), six_floats, 1000);
    ASSERT_EQ(found.state.size(), 1U);
    EXPECT_THAT(found.state[0].second.values, ElementsAre(0, 1, 2, 3, 4, 5));
    PickleAssembler within = PickleAssembler::state().entry("w", {});
    EXPECT_EQ(error_of_pickle(add_array(within, "mean", bytes).stop()),
              "\"mean\" is a NumPy array, not a tensor; save a tensor in its place: torch.from_numpy(array)");
  }
  PickleAssembler large = PickleAssembler::state();
  EXPECT_THAT(
      error_of_pickle(add_array(large, "mean", std::size_t{16} << 20).stop()),
      HasSubstr("more than 16777216; if there are NumPy arrays in it, save tensors in their place, by "
                "torch.from_numpy(array)"));
  const std::string name(65537, 'n');
  EXPECT_THAT(error_of_pickle(PickleAssembler::state().entry(name, {}).stop()),
              HasSubstr("entry 0 has no name"));
}

TEST(TrainingCheckpoint, SaysWhatToDoWithATrainingCheckpoint) {
  PickleAssembler two = PickleAssembler::state();
  add_state(two, "model");
  EXPECT_THAT(
      error_of_pickle(add_state(two, "ema").stop()),
      HasSubstr("several state dicts, as under \"model\" and \"ema\"; save the one that is meant alone"));
  for (const char* value : {"]", "K\x03", "N", "\x88", ")"}) {
    EXPECT_THAT(
        error_of_pickle(PickleAssembler::state().string("epoch").raw(value).raw("s").stop()),
        HasSubstr("\"epoch\" is no tensor, as in a training checkpoint; save the model's state dict alone: "
                  "torch.save(model.state_dict(), file)"));
  }
  EXPECT_THAT(
      error_of_pickle(
          PickleAssembler::state().entry("w", {}).string("x").global("numpy", "array").raw(")Rs").stop()),
      HasSubstr("\"x\" is no tensor but an object of \"numpy.array\""));
}

TEST(TrainingCheckpoint, SaysWhatToDoWithAWholeModule) {
  EXPECT_THAT(
      error_of_pickle(PickleAssembler().raw("\x80\x02").global("__main__", "Net").raw(")\x81}b").stop()),
      HasSubstr(
          "it holds an object of \"__main__.Net\", as torch.save(model, file) pickles a whole module; save "
          "the model's state dict alone: torch.save(model.state_dict(), file)"));
}

// A dict that is referred to from a million places is looked at once.
TEST(TrainingCheckpoint, SharedDictsTakeNoTime) {
  PickleAssembler many = PickleAssembler::state().string("first").raw("}q\x01");
  for (int i = 0; i < 20000; ++i) many.string(std::to_string(i)).raw("K\x01s");
  many.raw("s");
  for (int i = 0; i < 20000; ++i) many.string(std::to_string(i)).raw("h\x01s");
  EXPECT_THAT(error_of_pickle(many.stop()), HasSubstr("\"first\" is no tensor"));
}

}  // namespace
}  // namespace convoy
