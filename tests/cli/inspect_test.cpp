// convoy inspect: what it tells of every kind of file.
#include <gmock/gmock.h>
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "convoy/builtin.h"
#include "convoy/checkpoint.h"
#include "convoy/safetensors.h"
#include "convoy/state.h"
#include "tests/cli/inspect_fixture.h"
#include "tests/io/legacy_file.h"

namespace convoy::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class InspectTest : public InspectingTest {
 protected:
  void write_legacy(const std::string& name, const PickleAssembler& object) {
    LegacyFile file;
    file.object = object.stop();
    write_file(folder_ / name, file.bytes());
  }

  void write_safetensors(const std::string& name, const std::string& header, const std::string& data) {
    write_file(folder_ / name,
               std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header + data);
  }
};

TEST_F(InspectTest, ARunAndItsFiles) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto model = event_of("run/model.ckpt");
  EXPECT_EQ(model["kind"], "a checkpoint as torch.save writes it");
  EXPECT_EQ(model["bytes"], std::filesystem::file_size(folder_ / "run/model.ckpt"));
  EXPECT_EQ(model["tensors"], 16);
  EXPECT_EQ(model["model"], "convnet for images [1, 8, 8], as the model.json beside it says");
  const StateDict state = load_checkpoint(folder_ / "run/model.ckpt");
  const HostTensor& weight = *find(state, "fc.weight");
  const auto& told = model["contents"][14];
  EXPECT_EQ(told["name"], "fc.weight");
  EXPECT_EQ(told["shape"], nlohmann::json(weight.shape.dimensions()));
  EXPECT_EQ(told["type"], "float32");
  EXPECT_EQ(told["min"], *std::ranges::min_element(weight.values));
  EXPECT_EQ(told["max"], *std::ranges::max_element(weight.values));
  EXPECT_EQ(told["nan"], 0);
  std::int64_t parameters = 0;
  for (const TensorSpec& spec : tensor_specs(builtin_model("convnet", {1, 8, 8}, 10))) {
    if (spec.trainable()) parameters += spec.shape.count();
  }
  EXPECT_EQ(model["parameters"], parameters);
  EXPECT_EQ(event_of("run/model.json")["parameters"], parameters);
  EXPECT_EQ(event_of("run/model.json")["input"], "[1, 8, 8]");

  const auto record = event_of("run/run.json");
  EXPECT_EQ(record["kind"], "the record of a training");
  EXPECT_EQ(record["model"], "convnet");
  EXPECT_EQ(record["dataset"], "idx");
  EXPECT_EQ(record["record"]["epochs"], 1);
  const auto folder = event_of("run");
  EXPECT_EQ(folder["kind"], "the folder of a training");
  EXPECT_THAT(folder["files"].get<std::string>(),
              HasSubstr("log.jsonl, model.ckpt, model.json, report.html, run.json"));
  const auto config = event_of("run/config.toml");
  EXPECT_EQ(config["kind"], "the flags of a training");
  EXPECT_EQ(config["epochs"], "1");
}

TEST_F(InspectTest, TheStateOfATraining) {
  ASSERT_NO_FATAL_FAILURE(train());
  const auto states = files_under(folder_ / "run/states");
  ASSERT_FALSE(states.empty());
  const auto state = event_of("run/states/" + states.front());
  EXPECT_EQ(state["kind"], "a training's state, as convoy train keeps it");
  EXPECT_EQ(state["state_dict"], "\"model\"");
  EXPECT_EQ(state["tensors"], 16);
  EXPECT_EQ(state["values"]["\"convoy\" -> \"format\""], "1");
  EXPECT_EQ(state["values"]["\"convoy\" -> \"counter\""], "5");  // 500 images, 100 a step
  const Outcome text = inspect("run/states/" + states.front());
  EXPECT_THAT(text.out, HasSubstr("\"optimizer\""));
  EXPECT_THAT(text.out, HasSubstr("tensors of"));
}

TEST_F(InspectTest, WhichBuiltInModelAStateIs) {
  const auto told = [&](const std::string& name, const Shape& image, std::int64_t classes,
                        const std::string& prefix) {
    StateDict state = initial_state(builtin_model(name, image, classes), 1);
    for (auto& [tensor, values] : state) tensor = prefix + tensor;
    save_safetensors(state, folder_ / "x");
    return event_of("x")["model"].get<std::string>();
  };
  EXPECT_EQ(told("convnet", {1, 28, 28}, 10, ""),
            "convnet for images [1, 28, 28] and 10 classes, which is built in");
  EXPECT_EQ(told("resnet9", {3, 32, 32}, 100, "module."),
            "resnet9 for images [3, 32, 32] and 100 classes, which is built in");
  EXPECT_EQ(told("vgg-small", {1, 64, 64}, 3, ""),
            "vgg-small for images [1, 64, 64] and 3 classes, which is built in");
  EXPECT_EQ(told("lenet5", {3, 32, 32}, 7, "net."),
            "lenet5 for images [3, 32, 32] and 7 classes, which is built in");
  save_safetensors({{"w", zeros({2, 3, 5, 5})}, {"v", zeros({4, 4})}}, folder_ / "x");
  EXPECT_FALSE(event_of("x").contains("model"));
}

TEST_F(InspectTest, NansAndSharedStorages) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  save_checkpoint({{"w", {Shape{4}, {kNan, 2.0, kNan, -1.0}}}}, folder_ / "x.pt");
  const auto tensor = event_of("x.pt")["contents"][0];
  EXPECT_EQ(tensor["nan"], 2);
  EXPECT_EQ(tensor["min"], -1.0);
  EXPECT_EQ(tensor["max"], 2.0);
  EXPECT_EQ(tensor["mean"], 0.5);
  EXPECT_EQ(tensor["storage_of"], "");
  const auto views = event_of(IO_GOLDEN_FOLDER "/torch-1.13-views.ckpt")["contents"];
  EXPECT_EQ(views[0]["name"], "matrix");
  for (const auto& view : views) EXPECT_EQ(view["storage_of"], "matrix");
  const Outcome text = inspect(IO_GOLDEN_FOLDER "/torch-1.13-legacy-training.ckpt");
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("a checkpoint as PyTorch wrote it before 1.6"));
  EXPECT_THAT(text.out, HasSubstr("module.conv.weight"));
  EXPECT_THAT(text.out, HasSubstr("float16"));
}

// Tied weights are counted once, and those that are not read as their shapes say.
TEST_F(InspectTest, ParametersAreCountedByShapes) {
  write_legacy("x", PickleAssembler::state().entry("a", {}).entry("b", {}));
  EXPECT_EQ(event_of("x")["parameters"], 6);
  write_safetensors("x",
                    R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                    R"("b":{"dtype":"I8","shape":[3,4],"data_offsets":[8,20]},)"
                    R"("running_var":{"dtype":"F32","shape":[1],"data_offsets":[20,24]}})",
                    std::string(24, '\0'));
  EXPECT_EQ(event_of("x")["parameters"], 14);
}

// A tensor that no command loads is no damage; why it is not read is told.
TEST_F(InspectTest, WhatIsNotReadIsToldAndNoFailure) {
  write_safetensors("x",
                    R"({"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                    R"("b":{"dtype":"I8","shape":[3,4],"data_offsets":[8,20]}})",
                    std::string(20, '\x7f'));
  const auto event = event_of("x");
  EXPECT_EQ(event["contents"][0]["reading"], "not read");
  EXPECT_EQ(event["contents"][0]["problem"], "its value 9187201950435737471 is beyond 2^53");
  EXPECT_EQ(event["contents"][1]["type"], "I8");
  const Outcome text = inspect("x");
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("int64 (not read)"));
  EXPECT_THAT(text.out, HasSubstr("a: not read: its value 9187201950435737471 is beyond 2^53\n"));
  EXPECT_THAT(text.out, HasSubstr("b: not read: tensors of type I8 are not read; convert them to F32\n"));
}

// The file is told all the same.
TEST_F(InspectTest, ABadDescriptionOfTheModelIsALine) {
  const StateDict state = initial_state(builtin_model("convnet", {1, 28, 28}, 10), 1);
  write_file(folder_ / "model.json", "{\"name\": 1}");
  save_safetensors(state, folder_ / "x", {{"convoy.model", "{\"layers\": 3}"}});
  const auto event = event_of("x");
  EXPECT_EQ(event["model"], "convnet for images [1, 28, 28] and 10 classes, which is built in");
  ASSERT_EQ(event["problems"].size(), 2U);
  EXPECT_THAT(event["problems"][0].get<std::string>(), HasSubstr("x: 'convoy.model'"));
  EXPECT_THAT(event["problems"][1].get<std::string>(), HasSubstr("model.json"));
  const Outcome text = inspect("x");
  EXPECT_EQ(text.code, 0);
  EXPECT_EQ(text.err, "");
  EXPECT_THAT(text.out, HasSubstr("  model in it "));
  EXPECT_THAT(text.out, HasSubstr("  model.json beside it "));
}

TEST_F(InspectTest, SeveralStateDictsAreRefusedAsByLoading) {
  PickleAssembler both = PickleAssembler().raw("\x80\x02}");
  for (const char* name : {"model", "ema"}) both.string(name).ordered_dict().entry("w", {}).raw("s");
  write_legacy("x.pt", both);
  const Outcome loading = run({"export", "--checkpoint", "x.pt", "--pytorch", "y"}, {folder_.path()});
  EXPECT_EQ(loading.code, kFailed);
  const std::string reason = event_of("x.pt")["state_dict"].get<std::string>();
  EXPECT_THAT(reason, HasSubstr("it holds several state dicts"));
  EXPECT_THAT(loading.err, HasSubstr(reason));
}

TEST_F(InspectTest, IdxPlainAndCompressed) {
  write_idx_file(folder_ / "x", {2, 1, 3}, std::string("\x00\x01\x02\x03\x04\xff", 6));
  auto told = event_of("x");
  EXPECT_EQ(told["kind"], "an IDX file, of images as its dimensions say");
  EXPECT_EQ(told["type"], "uint8");
  EXPECT_EQ(told["shape"], (nlohmann::json{2, 1, 3}));
  EXPECT_EQ(told["min"], 0.0);
  EXPECT_EQ(told["max"], 255.0);
  EXPECT_EQ(told["mean"], 265.0 / 6.0);
  const std::string plain = read_file(folder_ / "x");
  gzFile packed = gzopen((folder_ / "x.gz").c_str(), "wb");
  ASSERT_EQ(gzwrite(packed, plain.data(), static_cast<unsigned>(plain.size())),
            static_cast<int>(plain.size()));
  ASSERT_EQ(gzclose(packed), Z_OK);
  EXPECT_EQ(event_of("x.gz")["mean"], 265.0 / 6.0);
  packed = gzopen((folder_ / "model.gz").c_str(), "wb");
  ASSERT_EQ(gzwrite(packed, "{\"layers\": []}", 14), 14);
  ASSERT_EQ(gzclose(packed), Z_OK);
  expect_refused({"inspect", "model.gz"}, kFailed,
                 "model.gz: it is compressed with gzip, and not an IDX file; unpack it first: gzip -d");
  write_file(folder_ / "floats", std::string("\0\0\x0d\x01\0\0\0\x02\x3f\x80\0\0\xc0\0\0\0", 16));
  told = event_of("floats");
  EXPECT_EQ(told["kind"], "an IDX file, of labels as its dimensions say");
  EXPECT_EQ(told["type"], "float32");
  EXPECT_EQ(told["min"], -2.0);
  EXPECT_EQ(told["max"], 1.0);
}

TEST_F(InspectTest, DamagedAndUnknownFilesAreOneLine) {
  const auto refused = [&](const std::string& bytes, int code, const std::string& reason) {
    write_file(folder_ / "x", bytes);
    expect_refused({"inspect", "x"}, code, reason);
  };
  refused("", kFailed, "x: it is empty");
  refused("<!DOCTYPE html>", kFailed, "it is a web page");
  refused("\x93NUMPY\x01", kFailed, "not a NumPy array");
  refused("\x80\x04N.", kFailed,
          "x: it is a bare pickle, as pickle.dump writes it; save the state dict with torch.save(");
  refused("\x80\x03\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", kFailed,
          "in pickle protocol 3, not 2");
  refused("some text", kFailed, "it is none of the files that are known here");
  refused(std::string("\0\0\x08\x01\0\0\0\x05\x01\x02", 10), kFailed, "truncated: 2 elements of 5");
  refused(std::string("\0\0\x08\x01\0\0\0\x01\x01\x02", 10), kFailed,
          "holds more data than its header announces");
  refused(std::string("\0\0\x0a\x01\0\0\0\x01\x01", 9), kFailed, "elements of type 0x0a");
  refused(std::string("\0\0\x08\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 20),
          kFailed, "the dimensions overflow");
  refused("{\"a\": 1}", kFailed, "it is JSON, but neither a model nor the record of a training");
  refused("{\"a\": ", kUsage, "malformed JSON");
  refused("PK\x03\x04 and no more", kFailed, "cannot read x: it is a truncated or damaged zip archive");
  refused(std::string("\x05\0\0\0\0\0\0\0{\"a\":", 13), kFailed, "its header is malformed JSON");
  expect_refused({"inspect", "digits"}, kFailed,
                 "it is a folder, but not that of a run, which has a run.json");
  expect_refused({"inspect", "none"}, kFailed, "No such file or directory");
  expect_refused({"inspect"}, kUsage, "files is required");
}

TEST_F(InspectTest, ADamagedTensorIsNamedAndTheOthersAreTold) {
  save_checkpoint({{"a", zeros({2})}, {"b", {Shape{1}, {0.25}}}}, folder_ / "x.pt");
  std::string bytes = read_file(folder_ / "x.pt");
  bytes[(bytes.find("archive/data/0") / 64 + 1) * 64] ^= 1;
  write_file(folder_ / "x.pt", bytes);
  const Outcome outcome = run({"inspect", "x.pt", "digits/t10k-labels-idx1-ubyte"}, {folder_.path()});
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_THAT(outcome.err,
              HasSubstr("x.pt: tensor \"a\": its zip entry \"archive/data/0\" is truncated or damaged"));
  EXPECT_EQ(lines(outcome.err).size(), 1u);
  EXPECT_THAT(outcome.out, HasSubstr("float32 (damaged)"));
  EXPECT_THAT(outcome.out, HasSubstr("a: damaged: its zip entry"));
  EXPECT_THAT(outcome.out, HasSubstr("0.25"));
  EXPECT_THAT(outcome.out, HasSubstr("an IDX file"));
}

// What a file says cannot write escapes to the terminal, or a key over the event's own.
TEST_F(InspectTest, HostileTextIsEscaped) {
  write_file(
      folder_ / "run.json",
      R"({"dataset": "a\u001b[31mb\nc", "model": "m", "\u001b]0;x": 1, "event": "x", "file": "y", "kind": "z"})");
  const Outcome outcome = inspect("run.json");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(outcome.out, HasSubstr("\\u001b[31mb\\nc"));
  EXPECT_EQ(event_of("run.json")["kind"], "the record of a training");
}

TEST_F(InspectTest, MetadataIsShownAsItIsWhereItCanDoNoHarm) {
  save_safetensors({{"w", zeros({2})}}, folder_ / "x",
                   {{"long", std::string(100, 'y')}, {"made", R"({"by": "Größe"})"}, {"shy", "a\n\x1b[2J"}});
  const Outcome outcome = inspect("x");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(" " + std::string(80, 'y') + "...\n"));
  EXPECT_THAT(outcome.out, HasSubstr(" {\"by\": \"Größe\"}\n"));
  EXPECT_THAT(outcome.out, HasSubstr(" a\\x0a\\x1b[2J\n"));
}

// In every column of the table, whether a name is long or short.
TEST_F(InspectTest, HostileNamesOfTensorsAreEscaped) {
  for (const std::size_t length : {1U, 300U}) {
    const std::string name = "\x1b]0;" + std::string(length, 'x');
    write_legacy("x.pt", PickleAssembler::state().entry(name, {}).entry("b", {}));
    const Outcome outcome = inspect("x.pt");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
    EXPECT_THAT(lines(outcome.out).back(), HasSubstr("\"\\x1b]0;x")) << "whose storage it is";
  }
}

}  // namespace
}  // namespace convoy::test
