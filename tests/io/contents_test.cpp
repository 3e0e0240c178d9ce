#include "engine/io/contents.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <set>

#include "convoy/checkpoint.h"
#include "engine/io/torch_archive.h"
#include "tests/io/convnet_state.h"
#include "tests/io/pickle_assembler.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using testing::HasSubstr;

std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(IO_GOLDEN_FOLDER) / ("torch-1.13-" + name + ".ckpt");
}

std::string value_of(const FileContents& contents, const std::string& place) {
  for (const auto& [here, words] : contents.values) {
    if (here == place) return words;
  }
  return "";
}

TEST(Contents, OfATrainingCheckpoint) {
  const FileContents contents = contents_of(golden("training"));
  EXPECT_EQ(contents.kind, "a checkpoint as torch.save writes it");
  ASSERT_LT(contents.state, contents.groups.size());
  const TensorGroup& state = contents.groups[contents.state];
  EXPECT_EQ(state.place, "\"model\"");
  ASSERT_EQ(state.tensors.size(), 9U);
  EXPECT_EQ(state.tensors[0].name, "conv.weight");
  EXPECT_EQ(state.tensors[0].shape, (Shape{2, 1, 3, 3}));
  EXPECT_EQ(state.tensors[0].type, "float32");
  EXPECT_EQ(state.tensors[6].type, "int64");
  EXPECT_EQ(state.tensors[6].elements.min, 606.0);
  EXPECT_EQ(value_of(contents, "\"epoch\""), "3");
  EXPECT_EQ(value_of(contents, "\"optimizer\" -> \"param_groups\" -> 0 -> \"betas\""), "[0.9, 0.999]");
}

TEST(Contents, OfViewsNameTheirStorage) {
  const FileContents contents = contents_of(golden("views"));
  ASSERT_EQ(contents.groups.size(), 1U);
  std::set<std::size_t> views;
  for (const StoredTensor& tensor : contents.groups[0].tensors) {
    EXPECT_EQ(tensor.storage, 1U) << tensor.name;
    EXPECT_TRUE(views.insert(tensor.view).second) << tensor.name << ": no two are the same elements";
  }
  EXPECT_EQ(views.size(), 6U);
}

TEST(Contents, OfTypesSummarizeTheirElements) {
  for (const std::string format : {"types", "legacy-types"}) {
    const FileContents contents = contents_of(golden(format));
    ASSERT_EQ(contents.groups.size(), 1U);
    const auto& tensors = contents.groups[0].tensors;
    ASSERT_EQ(tensors.size(), 7U);
    EXPECT_EQ(tensors[0].type, "float16");
    const HostTensor halves = ramp({2, 3}, 0);
    double sum = 0.0;
    for (const double value : halves.values) sum += value;
    EXPECT_EQ(tensors[0].elements.mean, sum / 6.0);
    EXPECT_EQ(tensors[0].elements.min, *std::ranges::min_element(halves.values));
    EXPECT_EQ(tensors[0].elements.max, *std::ranges::max_element(halves.values));
    EXPECT_EQ(tensors[1].elements.nan, 1);
    EXPECT_EQ(tensors[1].elements.infinite, 2);
    EXPECT_EQ(tensors[1].elements.finite, 5);
    EXPECT_EQ(tensors[2].type, "bfloat16");
    EXPECT_EQ(tensors[4].type, "float64");
    EXPECT_EQ(tensors[5].type, "int32");
    EXPECT_EQ(tensors[5].elements.min, -0x1p31);
    EXPECT_EQ(tensors[6].type, "int64");
  }
}

TEST(Contents, OfATypeThatIsNotReadAreNamed) {
  const FileContents contents = contents_of(golden("legacy-training"));
  EXPECT_EQ(contents.kind, "a checkpoint as PyTorch wrote it before 1.6");
  EXPECT_EQ(value_of(contents, "\"epoch\""), "7");
  ASSERT_EQ(contents.groups.size(), 2U);
  EXPECT_EQ(contents.groups[0].place, "");
  EXPECT_EQ(contents.groups[0].tensors[0].name, "rng");
  EXPECT_THAT(contents.groups[0].tensors[0].problem, HasSubstr("\"ByteStorage\" are not supported"));
  EXPECT_EQ(contents.groups[0].tensors[0].reading, Reading::not_read);
  EXPECT_EQ(contents.groups[0].tensors[0].type, "ByteStorage");
  EXPECT_EQ(contents.groups[0].tensors[0].shape.rank(), 1U);
  EXPECT_EQ(contents.groups[0].tensors[1].name, "best");
  EXPECT_EQ(contents.groups[0].tensors[1].reading, Reading::read);
  EXPECT_EQ(contents.groups[0].tensors[1].elements.max, 0.5);
  EXPECT_EQ(contents.groups[1].place, "\"state_dict\"");
  EXPECT_EQ(contents.state, 1U);
}

TEST(Contents, OfSafetensors) {
  const TemporaryFolder folder;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  save_safetensors({{"w", {Shape{4}, {1.0, kNan, -3.0, 5.0}}}, {"n", {Shape{}, {7.0}, DType::int64}}},
                   folder / "x", {{"format", "pt"}});
  EXPECT_TRUE(holds_tensors(folder / "x"));
  const FileContents contents = contents_of(folder / "x");
  EXPECT_EQ(contents.kind, "safetensors");
  EXPECT_EQ(contents.metadata, (SafetensorsMetadata{{"format", "pt"}}));
  ASSERT_EQ(contents.groups.size(), 1U);
  const auto& tensors = contents.groups[0].tensors;
  ASSERT_EQ(tensors.size(), 2U);
  EXPECT_EQ(tensors[0].name, "w");
  EXPECT_EQ(tensors[0].elements.min, -3.0);
  EXPECT_EQ(tensors[0].elements.max, 5.0);
  EXPECT_EQ(tensors[0].elements.mean, 1.0);
  EXPECT_EQ(tensors[0].elements.nan, 1);
  EXPECT_EQ(tensors[1].type, "int64");
  EXPECT_EQ(tensors[1].elements.max, 7.0);
}

// The file is sound, though load_checkpoint would refuse it.
TEST(Contents, OfNumbersBeyondADoubleAreNotDamage) {
  const TemporaryFolder folder;
  const std::string header = R"({"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                             R"("m":{"dtype":"U16","shape":[2,1],"data_offsets":[8,12]}})";
  write_file(folder / "x", std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header +
                               std::string("\x01\0\0\0\0\0\x20\0abcd", 12));
  const auto tensors = contents_of(folder / "x").groups.at(0).tensors;
  EXPECT_EQ(tensors[0].reading, Reading::not_read);
  EXPECT_EQ(tensors[0].problem, "its value 9007199254740993 is beyond 2^53");
  EXPECT_EQ(tensors[0].type, "int64");
  EXPECT_EQ(tensors[1].reading, Reading::not_read);
  EXPECT_EQ(tensors[1].type, "U16");
  EXPECT_EQ(tensors[1].shape, (Shape{2, 1}));
}

/// A zip archive of torch.save with this pickle and one storage of six floats.
void write_checkpoint(const std::filesystem::path& file, const std::string& pickle) {
  write_file(file,
             torch_archive({{"data.pkl", pickle}, {"data/0", std::string(24, '\0')}, {"version", "3\n"}}));
}

/// Begins a pickle with an empty dict.
PickleAssembler dict() { return PickleAssembler().raw("\x80\x02}"); }

TEST(Contents, OfTiedWeightsAreTheSameView) {
  const TemporaryFolder folder;
  const TensorText part{.offset = 1, .shape = {2}, .strides = {1}};
  write_checkpoint(folder / "x",
                   PickleAssembler::state().entry("a", {}).entry("b", {}).entry("c", part).stop());
  const auto tensors = contents_of(folder / "x").groups.at(0).tensors;
  EXPECT_EQ(tensors[0].view, tensors[1].view);
  EXPECT_NE(tensors[0].view, tensors[2].view);
  EXPECT_EQ(tensors[0].storage, tensors[2].storage);
}

TEST(Contents, OfListsWithinLists) {
  const TemporaryFolder folder;
  write_checkpoint(folder / "x", dict()
                                     .string("pairs")
                                     .raw("](K\x01K\x02\x86K\x03K\x04\x86"
                                          "es")
                                     .string("deep")
                                     .raw("K\x01\x85\x85\x85\x85\x85s")
                                     .string("mixed")
                                     .raw("](K\x05})es")
                                     .stop());
  const FileContents contents = contents_of(folder / "x");
  EXPECT_EQ(value_of(contents, "\"pairs\""), "[[1, 2], [3, 4]]");
  EXPECT_EQ(value_of(contents, "\"deep\" -> 0"), "[[[[1]]]]");
  EXPECT_EQ(value_of(contents, "\"mixed\" -> 0"), "5");
}

// The state dict is there twice; it is told where load_checkpoint finds it, and where it is again.
TEST(Contents, OfADictThatIsThereTwice) {
  const TemporaryFolder folder;
  write_checkpoint(folder / "x", dict()
                                     .string("outer")
                                     .raw("}")
                                     .string("epoch")
                                     .raw("K\x01s")
                                     .string("inner")
                                     .ordered_dict()
                                     .raw("q\x01")
                                     .entry("w", {})
                                     .raw("ss")
                                     .string("model")
                                     .raw("h\x01s")
                                     .stop());
  const FileContents contents = contents_of(folder / "x");
  std::string told;
  load_checkpoint(folder / "x", [&](const std::string& line) { told = line; });
  EXPECT_THAT(told, HasSubstr("under \"model\""));
  ASSERT_EQ(contents.state, 0U);
  ASSERT_EQ(contents.groups.size(), 1U);
  EXPECT_EQ(contents.groups[0].place, "\"model\"");
  EXPECT_EQ(value_of(contents, "\"model\""), "the same as \"outer\" -> \"inner\"");
}

TEST(Contents, OfATrainingAreToldByTheRootAlone) {
  const TemporaryFolder folder;
  const auto kind_of = [&](PickleAssembler pickle) {
    write_checkpoint(folder / "x", pickle.stop());
    return contents_of(folder / "x").kind;
  };
  const auto with_format = [](PickleAssembler pickle) {
    return pickle.string("convoy").raw("}").string("format").raw("K\x01ss");
  };
  const std::string training = "a training's state, as convoy train keeps it";
  EXPECT_EQ(kind_of(with_format(dict())), training);
  PickleAssembler many = dict();  // more than are listed, in front of it
  for (int i = 0; i < 300; ++i) many.string("k" + std::to_string(i)).raw("K\x01s");
  EXPECT_EQ(kind_of(with_format(many)), training);
  EXPECT_NE(kind_of(with_format(dict().string("run").raw("}")).raw("s")), training);
}

TEST(Contents, OfSeveralStateDictsSayWhatLoadingDoes) {
  const TemporaryFolder folder;
  PickleAssembler pickle = dict();
  for (const char* name : {"model", "ema"}) pickle.string(name).ordered_dict().entry("w", {}).raw("s");
  write_checkpoint(folder / "x", pickle.stop());
  const FileContents contents = contents_of(folder / "x");
  EXPECT_EQ(contents.state, contents.groups.size());
  EXPECT_THAT(contents.refusal, HasSubstr("it holds several state dicts, as under \"model\" and \"ema\""));
  EXPECT_THAT(error_of([&] { load_checkpoint(folder / "x"); }), HasSubstr(contents.refusal));
}

TEST(Contents, ArraysOfNumPyAndLongTextAreWords) {
  const TemporaryFolder folder;
  PickleAssembler pickle = dict().string("array").global("numpy._core.multiarray", "_reconstruct").raw(")Rs");
  write_checkpoint(folder / "x", pickle.string("text").string(std::string(70'000, 'a')).raw("s").stop());
  const FileContents contents = contents_of(folder / "x");
  EXPECT_EQ(value_of(contents, "\"array\""), "a NumPy array");
  EXPECT_EQ(value_of(contents, "\"text\""), "text of 70000 bytes");
}

TEST(Contents, OfAWholeModuleNameItsClass) {
  const TemporaryFolder folder;
  write_checkpoint(folder / "x",
                   "\x80\x02"
                   "c__main__\nNet\n)\x81}b.");
  const FileContents contents = contents_of(folder / "x");
  EXPECT_TRUE(contents.groups.empty());
  EXPECT_EQ(value_of(contents, "content"), "an object of \"__main__.Net\"");
}

// A dict that refers to itself, and a list of a thousand numbers in each of a thousand entries.
TEST(Contents, OfHostilePicklesAreBounded) {
  const TemporaryFolder folder;
  write_checkpoint(folder / "cycle",
                   PickleAssembler().raw("\x80\x02}q\x01").string("a").raw("h\x01s").stop());
  const FileContents cycle = contents_of(folder / "cycle");
  EXPECT_TRUE(cycle.groups.empty());
  ASSERT_EQ(cycle.values.size(), 1U);
  EXPECT_EQ(value_of(cycle, "\"a\""), "the whole again");

  PickleAssembler many;
  many.raw("\x80\x02}");
  for (int i = 0; i < 1000; ++i) many.string("k" + std::to_string(i)).raw("K\x01s");
  write_checkpoint(folder / "many", many.stop());
  const FileContents contents = contents_of(folder / "many");
  EXPECT_EQ(contents.values.size(), 200U);
  EXPECT_EQ(contents.left_out, 800U);

  PickleAssembler deep;
  deep.raw("\x80\x02");
  for (int i = 0; i < 100; ++i) deep.raw("}").string("a");
  deep.raw("N" + std::string(100, 's'));
  write_checkpoint(folder / "deep", deep.stop());
  const FileContents nested = contents_of(folder / "deep");
  ASSERT_EQ(nested.values.size(), 1U);
  EXPECT_EQ(nested.values[0].second, "...");
  EXPECT_EQ(std::ranges::count(nested.values[0].first, '>'), 8);

  const std::string long_text(80, 'x');
  PickleAssembler wide = dict();  // eight of eight of eight texts, which are one in the file
  wide.string(long_text).raw("q\x01((h\x01h\x01h\x01h\x01h\x01h\x01h\x01h\x01tq\x02");
  wide.raw("h\x02h\x02h\x02h\x02h\x02h\x02h\x02ts");
  write_checkpoint(folder / "wide", wide.stop());
  const std::string words = value_of(contents_of(folder / "wide"), "\"" + long_text + "\"");
  EXPECT_THAT(words, testing::EndsWith("...]"));
  EXPECT_LT(words.size(), 600U);
}

TEST(Contents, ADamagedStorageIsToldOfItsTensor) {
  const TemporaryFolder folder;
  save_checkpoint({{"a", zeros({2})}, {"b", ramp({2}, 1)}}, folder / "x");
  std::string bytes = read_file(folder / "x");
  bytes[(bytes.find("archive/data/0") / 64 + 1) * 64] ^= 1;
  write_file(folder / "x", bytes);
  const FileContents contents = contents_of(folder / "x");
  ASSERT_EQ(contents.groups.size(), 1U);
  EXPECT_THAT(contents.groups[0].tensors[0].problem, HasSubstr("is truncated or damaged"));
  EXPECT_EQ(contents.groups[0].tensors[0].reading, Reading::damaged);
  EXPECT_EQ(contents.groups[0].tensors[0].type, "float32");
  EXPECT_EQ(contents.groups[0].tensors[1].reading, Reading::read);
  EXPECT_EQ(contents.groups[0].tensors[1].problem, "");
}

TEST(Contents, OfNoSuchFile) {
  const TemporaryFolder folder;
  write_file(folder / "x", "no tensors");
  EXPECT_FALSE(holds_tensors(folder / "x"));
  EXPECT_THAT(error_of([&] { contents_of(folder / "x"); }),
              HasSubstr("cannot read " + (folder / "x").string()));
}

}  // namespace
}  // namespace convoy
