#include "engine/io/contents.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>

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
  for (const StoredTensor& tensor : contents.groups[0].tensors) {
    EXPECT_EQ(tensor.storage, contents.groups[0].tensors[0].storage) << tensor.name;
  }
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
  EXPECT_EQ(contents.groups[0].tensors[1].name, "best");
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

/// A zip archive of torch.save with this pickle and one storage of six floats.
void write_checkpoint(const std::filesystem::path& file, const std::string& pickle) {
  write_file(file,
             torch_archive({{"data.pkl", pickle}, {"data/0", std::string(24, '\0')}, {"version", "3\n"}}));
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
  EXPECT_TRUE(contents_of(folder / "cycle").groups.empty());

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
  EXPECT_EQ(contents_of(folder / "deep").values.size(), 1U);
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
