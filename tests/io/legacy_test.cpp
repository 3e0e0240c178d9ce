// Files of torch.save from before PyTorch 1.6: those that PyTorch 1.13 writes when asked for them
// (make_golden.py), and made-up ones.
#include <gmock/gmock.h>

#include <cmath>
#include <tuple>
#include <utility>

#include "convoy/checkpoint.h"
#include "tests/io/convnet_state.h"
#include "tests/io/legacy_file.h"
#include "tests/io/pickle_assembler.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(IO_GOLDEN_FOLDER) / ("torch-1.13-" + name + ".ckpt");
}

bool same(const StateDict& a, const StateDict& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].first != b[i].first || a[i].second.shape != b[i].second.shape ||
        a[i].second.dtype != b[i].second.dtype) {
      return false;
    }
    for (std::size_t k = 0; k < a[i].second.values.size(); ++k) {
      const double x = a[i].second.values[k], y = b[i].second.values[k];
      if (x != y && !(std::isnan(x) && std::isnan(y))) return false;
    }
  }
  return true;
}

// PyTorch wrote the same into both formats.
TEST(Legacy, SaysTheSameAsTheNewFormat) {
  for (const std::string name : {"module", "types", "views"}) {
    EXPECT_TRUE(same(load_checkpoint(golden("legacy-" + name)), load_checkpoint(golden(name)))) << name;
  }
}

TEST(Legacy, AStateDictWithinAScriptsCheckpoint) {
  std::string told;
  const StateDict state =
      load_checkpoint(golden("legacy-training"), [&](const std::string& line) { told = line; });
  EXPECT_EQ(told, golden("legacy-training").string() + ": its state dict is the one under \"state_dict\"");
  ASSERT_EQ(state.size(), 9U);
  EXPECT_EQ(state[0].first, "module.conv.weight");
  EXPECT_EQ(state[0].second, ramp({2, 1, 3, 3}, 0));  // saved as halves, which hold it
  EXPECT_EQ(state[6].second, (HostTensor{Shape{}, {606.0}, DType::int64}));
}

/// A dict with a tensor `x` of six floats, as PyTorch of before 0.4 describes it if `first`.
std::string object_of(const std::string& view = "N", const std::string& type = "FloatStorage",
                      bool first = false) {
  PickleAssembler pickle = PickleAssembler::state();
  pickle.string("x").global("torch._utils", first ? "_rebuild_tensor" : "_rebuild_tensor_v2").raw("((");
  pickle.string("storage").global("torch", type).string("0").string("cuda:0").integer(6).raw(view + "tQ");
  pickle.integer(0).integers({2, 3}).integers({3, 1});
  if (!first) pickle.raw("\x89").ordered_dict();
  return pickle.raw("tRs").stop();
}

class LegacyParts : public testing::Test {
 protected:
  LegacyParts() { parts_.object = object_of(); }

  std::string error_of_parts() {
    write_file(file_, parts_.bytes());
    return error_of([&] { load_checkpoint(file_); });
  }

  LegacyFile parts_;
  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "model.pth";
};

TEST_F(LegacyParts, AreRead) {
  const StateDict expected = {{"x", zeros({2, 3})}};
  EXPECT_EQ(error_of_parts(), "");
  EXPECT_EQ(load_checkpoint(file_), expected);
  parts_.object = object_of("N", "FloatStorage", /*first=*/true);
  parts_.data += "what torch.load does not look at, either";
  EXPECT_EQ(error_of_parts(), "");
  EXPECT_EQ(load_checkpoint(file_), expected);
}

TEST_F(LegacyParts, ThatDoNotAgreeAreRefused) {
  const auto with = [&](std::string LegacyFile::*part, const std::string& bytes) {
    const std::string kept = std::exchange(parts_.*part, bytes);
    const std::string message = error_of_parts();
    parts_.*part = kept;
    return message;
  };
  EXPECT_THAT(with(&LegacyFile::protocol, "\x80\x02M\xe8\x03."s),
              HasSubstr("its protocol version is not 1001"));
  EXPECT_THAT(with(&LegacyFile::system, "\x80\x02N."s), HasSubstr("does not describe a machine"));
  EXPECT_THAT(with(&LegacyFile::system, "\x80\x02}U\x01"s + "ai\x88s."),
              HasSubstr("is how Python 2 wrote text"));
  EXPECT_THAT(with(&LegacyFile::object, object_of("K\x01")), HasSubstr("its storage is a part of another"));
  EXPECT_THAT(with(&LegacyFile::object, object_of("N", "ByteStorage")),
              HasSubstr("tensors of type \"ByteStorage\" are not supported"));
  EXPECT_THAT(with(&LegacyFile::object, object_of("N", "StrangeStorage")),
              HasSubstr("storage \"0\" is of no tensor"));
  EXPECT_THAT(with(&LegacyFile::keys, "\x80\x02]."s), HasSubstr("tensor \"x\": it has no storage \"0\""));
  EXPECT_THAT(with(&LegacyFile::keys, "\x80\x02N."s), HasSubstr("not a list of storages"));
  EXPECT_THAT(with(&LegacyFile::keys, "\x80\x02]K\x01"s + "a."),
              HasSubstr("storage without a key is of no tensor"));
  EXPECT_THAT(with(&LegacyFile::count, "\x05\0\0\0\0\0\0\0"s),
              HasSubstr("storage \"0\" has 5 elements, not 6"));
  EXPECT_THAT(with(&LegacyFile::count, "\x06\0\0"s), HasSubstr("it is truncated: storage"));
  EXPECT_THAT(with(&LegacyFile::data, std::string(23, '\0')),
              HasSubstr("it is truncated: storage \"0\" of 6 elements"));
  parts_.data.clear();
  EXPECT_THAT(with(&LegacyFile::count, "\x06\0\0"s), HasSubstr("it is truncated"));
}

// The elements are little-endian, whichever machine wrote them. PyTorch of before 1.4 left the number of them
// in the machine's order.
TEST_F(LegacyParts, OfABigEndianMachineAreRead) {
  parts_.data = "\0\0\x80\x3f"s + std::string(20, '\0');
  const std::string little = parts_.bytes();
  const StateDict expected = {{"x", {Shape{2, 3}, {1.0, 0.0, 0.0, 0.0, 0.0, 0.0}}}};
  parts_.system = PickleAssembler().raw("\x80\x02}").string("little_endian").raw("\x89s").stop();
  EXPECT_EQ(error_of_parts(), "");
  EXPECT_EQ(load_checkpoint(file_), expected);
  parts_.count = "\0\0\0\0\0\0\0\x06"s;
  EXPECT_EQ(error_of_parts(), "");
  EXPECT_EQ(load_checkpoint(file_), expected);
  parts_.count = "\0\0\0\0\0\0\0\x05"s;
  EXPECT_THAT(error_of_parts(), HasSubstr("storage \"0\" has 5 elements, not 6"));
}

// As torch.save(..., _use_new_zipfile_serialization=False, pickle_protocol=...) begins.
TEST_F(LegacyParts, OfAnotherPickleProtocolAreTold) {
  const std::string number = parts_.magic.substr(2);
  for (const auto& [protocol, magic] :
       {std::pair("3", "\x80\x03" + number), std::pair("4", "\x80\x04\x95\x0d\0\0\0\0\0\0\0"s + number),
        std::pair("5", "\x80\x05\x95\x0d\0\0\0\0\0\0\0"s + number)}) {
    parts_.magic = magic;
    EXPECT_THAT(error_of_parts(),
                HasSubstr("it is of the format of before PyTorch 1.6, in pickle protocol "s + protocol +
                          ", not 2; load it with torch.load and save it again"));
  }
  parts_.magic = "\x80\x04N.";
  EXPECT_THAT(error_of_parts(), HasSubstr("it is a bare pickle"));
}

// Beside a state dict they do no harm, so their sizes have to be known.
TEST_F(LegacyParts, OfTypesThatAreNotReadAreSteppedOver) {
  const auto storage = [](const std::string& module, const std::string& type, const std::string& key) {
    PickleAssembler pickle;
    pickle.raw("(").string("storage").global(module, type).string(key).string("cpu").integer(3);
    return pickle.raw("NtQ");
  };
  for (const auto& [module, type, width] :
       {std::tuple("torch", "ByteStorage", 1), std::tuple("torch", "UntypedStorage", 1),
        std::tuple("torch.storage", "UntypedStorage", 1), std::tuple("torch", "QUInt4x2Storage", 1),
        std::tuple("torch", "QUInt2x4Storage", 1), std::tuple("torch", "QInt32Storage", 4),
        std::tuple("torch", "ComplexDoubleStorage", 16)}) {
    const std::string foreign = storage(module, type, "f").stop();
    const std::string model = object_of().substr(2);
    parts_.object = PickleAssembler()
                        .raw("\x80\x02}")
                        .string("rng")
                        .raw(foreign.substr(0, foreign.size() - 1))
                        .raw("s")
                        .string("model")
                        .raw(model.substr(0, model.size() - 1))
                        .raw("s")
                        .stop();
    parts_.keys = PickleAssembler().raw("\x80\x02](").string("f").string("0").raw("e").stop();
    parts_.count =
        "\x03\0\0\0\0\0\0\0"s + std::string(3 * static_cast<std::size_t>(width), 'x') + "\x06\0\0\0\0\0\0\0"s;
    EXPECT_EQ(error_of_parts(), "") << module << "." << type;
    EXPECT_EQ(load_checkpoint(file_), (StateDict{{"x", zeros({2, 3})}})) << type;
  }
}

TEST_F(LegacyParts, AStorageIsThereOnce) {
  parts_.keys = PickleAssembler().raw("\x80\x02](").string("0").string("0").raw("e").stop();
  parts_.data += parts_.count + parts_.data;
  EXPECT_THAT(error_of_parts(), HasSubstr("storage \"0\" is there twice"));
}

TEST_F(LegacyParts, EveryTruncationIsRefused) {
  const std::string bytes = parts_.bytes();
  for (std::size_t length = bytes.size(); length-- > 0;) {
    write_file(file_, bytes.substr(0, length));
    EXPECT_NE(error_of([&] { load_checkpoint(file_); }), "") << length;
  }
}

// There are no checksums: what is read may have other values, but as many as its shape says.
TEST_F(LegacyParts, EveryCorruptByteIsRefusedOrRead) {
  const std::string bytes = parts_.bytes();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      write_file(file_, damaged);
      StateDict state;
      if (!error_of([&] { state = load_checkpoint(file_); }).empty()) continue;
      for (const auto& [name, tensor] : state) EXPECT_EQ(std::ssize(tensor.values), tensor.shape.count());
    }
  }
}

}  // namespace
}  // namespace convoy
