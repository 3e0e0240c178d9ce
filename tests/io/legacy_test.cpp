// Files of torch.save from before PyTorch 1.6: those that PyTorch 1.13 writes when asked for them
// (make_golden.py), and made-up ones.
#include <gmock/gmock.h>

#include <cmath>
#include <utility>

#include "convoy/checkpoint.h"
#include "tests/io/convnet_state.h"
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

/// What a file consists of, to be bent.
struct Parts {
  std::string magic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."s;
  std::string protocol = "\x80\x02M\xe9\x03."s;
  std::string system = PickleAssembler().raw("\x80\x02}").string("little_endian").raw("\x88s").stop();
  std::string object;
  std::string keys = PickleAssembler().raw("\x80\x02]").string("0").raw("a").stop();
  std::string count = "\x06\0\0\0\0\0\0\0"s;
  std::string data = std::string(24, '\0');

  std::string file() const { return magic + protocol + system + object + keys + count + data; }
};

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
    write_file(file_, parts_.file());
    return error_of([&] { load_checkpoint(file_); });
  }

  Parts parts_;
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
  const auto with = [&](std::string Parts::*part, const std::string& bytes) {
    const std::string kept = std::exchange(parts_.*part, bytes);
    const std::string message = error_of_parts();
    parts_.*part = kept;
    return message;
  };
  EXPECT_THAT(with(&Parts::protocol, "\x80\x02M\xe8\x03."s), HasSubstr("its protocol version is not 1001"));
  EXPECT_THAT(with(&Parts::system, "\x80\x02N."s), HasSubstr("does not describe a machine"));
  EXPECT_THAT(
      with(&Parts::system, PickleAssembler().raw("\x80\x02}").string("little_endian").raw("\x89s").stop()),
      HasSubstr("its byte order is not little-endian"));
  EXPECT_THAT(with(&Parts::system, "\x80\x02}U\x01"s + "ai\x88s."), HasSubstr("is how Python 2 wrote text"));
  EXPECT_THAT(with(&Parts::object, object_of("K\x01")), HasSubstr("its storage is a part of another"));
  EXPECT_THAT(with(&Parts::object, object_of("N", "ByteStorage")),
              HasSubstr("tensors of type \"ByteStorage\" are not supported"));
  EXPECT_THAT(with(&Parts::object, object_of("N", "StrangeStorage")),
              HasSubstr("storage \"0\" is of no tensor"));
  EXPECT_THAT(with(&Parts::keys, "\x80\x02]."s), HasSubstr("tensor \"x\": it has no storage \"0\""));
  EXPECT_THAT(with(&Parts::keys, "\x80\x02N."s), HasSubstr("not a list of storages"));
  EXPECT_THAT(with(&Parts::keys, "\x80\x02]K\x01"s + "a."),
              HasSubstr("storage without a key is of no tensor"));
  EXPECT_THAT(with(&Parts::count, "\x05\0\0\0\0\0\0\0"s), HasSubstr("storage \"0\" has 5 elements, not 6"));
  EXPECT_THAT(with(&Parts::count, "\x06\0\0"s), HasSubstr("it is truncated: storage"));
  EXPECT_THAT(with(&Parts::data, std::string(23, '\0')),
              HasSubstr("it is truncated: storage \"0\" of 6 elements"));
  parts_.data.clear();
  EXPECT_THAT(with(&Parts::count, "\x06\0\0"s), HasSubstr("it is truncated"));
}

TEST_F(LegacyParts, AStorageIsThereOnce) {
  parts_.keys = PickleAssembler().raw("\x80\x02](").string("0").string("0").raw("e").stop();
  parts_.data += parts_.count + parts_.data;
  EXPECT_THAT(error_of_parts(), HasSubstr("storage \"0\" is there twice"));
}

TEST_F(LegacyParts, EveryTruncationIsRefused) {
  const std::string bytes = parts_.file();
  for (std::size_t length = bytes.size(); length-- > 0;) {
    write_file(file_, bytes.substr(0, length));
    EXPECT_NE(error_of([&] { load_checkpoint(file_); }), "") << length;
  }
}

// There are no checksums: what is read may have other values, but as many as its shape says.
TEST_F(LegacyParts, EveryCorruptByteIsRefusedOrRead) {
  const std::string bytes = parts_.file();
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
