#include "convoy/checkpoint.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <zip.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "convoy/error.h"
#include "engine/io/torch_archive.h"
#include "tests/io/convnet_state.h"
#include "tests/io/pickle_assembler.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

class Checkpoint : public testing::Test {
 protected:
  StateDict round_trip(const StateDict& state) {
    save_checkpoint(state, file_);
    return load_checkpoint(file_);
  }

  std::string error_of_file() {
    const std::string message = error_of([&] { load_checkpoint(file_); });
    if (!message.empty()) {
      EXPECT_THAT(message, HasSubstr("cannot load checkpoint " + file_.string() + ": "));
    }
    return message;
  }

  std::string error_of_bytes(std::string_view bytes) {
    write_file(file_, bytes);
    return error_of_file();
  }

  std::string error_of_entries(const std::vector<ArchiveEntry>& entries) {
    return error_of_bytes(torch_archive(entries));
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "model.ckpt";
};

/// The entries of a sound checkpoint with one tensor of six floats.
std::vector<ArchiveEntry> sound_entries() {
  return {{"data.pkl", PickleAssembler::state().entry("x", {}).stop()},
          {"byteorder", "little"},
          {"data/0", std::string(24, '\0')},
          {"version", "3\n"}};
}

std::vector<std::uint64_t> bits_of(const HostTensor& tensor) {
  std::vector<std::uint64_t> bits;
  for (const double value : tensor.values) bits.push_back(std::bit_cast<std::uint64_t>(value));
  return bits;
}

TEST_F(Checkpoint, TorchScriptIsNamed) {
  for (const char* entry : {"constants.pkl", "code/__torch__.py"}) {
    auto entries = sound_entries();
    entries.push_back({entry, "x"});
    EXPECT_THAT(
        error_of_entries(entries),
        HasSubstr(
            "it is a TorchScript archive, as torch.jit.save and libtorch's torch::save write it; take its "
            "state dict: torch.save(torch.jit.load(file).state_dict(), new_file)"));
  }
}

TEST_F(Checkpoint, RoundTripKeepsTheConvNet) { EXPECT_EQ(round_trip(convnet_state()), convnet_state()); }

TEST_F(Checkpoint, RoundTripKeepsEveryBit) {
  using Limits = std::numeric_limits<float>;
  const float payload = std::bit_cast<float>(0xffc12345U);  // a quiet NaN with a sign and a payload
  const HostTensor special{
      Shape{3, 4},
      {0.0, -0.0, Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), payload, Limits::denorm_min(),
       -Limits::denorm_min(), Limits::min(), Limits::max(), Limits::lowest(), std::nextafter(1.0F, 2.0F)}};
  const StateDict state = round_trip({{"special", special}});
  EXPECT_EQ(bits_of(state[0].second), bits_of(special));
  EXPECT_EQ(state[0].second.shape, special.shape);
}

TEST_F(Checkpoint, RoundTripKeepsTypesShapesAndOrder) {
  const StateDict state = {{"z", {Shape{}, {0x1p53}, DType::int64}},
                           {"a", {Shape{2}, {-0x1p31, 0x1p31 - 1}, DType::int32}},
                           {"", zeros({0, 3})},
                           {"one", zeros({1, 1, 1, 1, 1})},
                           {"gr\xc3\xbc\xc3\x9f", ramp({3}, 1)}};
  EXPECT_EQ(round_trip(state), state);
  EXPECT_EQ(round_trip({}), StateDict{});
}

TEST_F(Checkpoint, RoundTripKeepsManyAndLargeTensors) {
  StateDict
      state;  // more tensors than a batch of SETITEMS, sizes in every form that the pickle has for a count
  for (int k = 0; k < 2000; ++k) state.emplace_back(fmt::format("t{}", k), ramp({1}, k));
  for (const std::int64_t size : {255, 256, 65535, 65536})
    state.emplace_back(fmt::format("s{}", size), ramp({size}, 1));
  EXPECT_EQ(round_trip(state), state);
}

TEST_F(Checkpoint, SameStateGivesSameBytes) {
  save_checkpoint(convnet_state(), file_);
  const std::string first = read_file(file_);
  ::setenv("TZ", "Asia/Tokyo", 1);  // zip times are local times
  ::tzset();
  save_checkpoint(convnet_state(), folder_ / "other.ckpt");
  ::unsetenv("TZ");
  ::tzset();
  EXPECT_EQ(read_file(folder_ / "other.ckpt"), first);
}

TEST_F(Checkpoint, EntriesAreAlignedForMemoryMaps) {
  save_checkpoint(convnet_state(), file_);
  const std::string bytes = read_file(file_);
  std::size_t entries = 0;
  for (std::size_t at = 0; bytes.compare(at, 4, "PK\x03\x04") == 0; ++entries) {
    const auto number = [&](std::size_t offset, std::size_t width) {
      std::size_t value = 0;
      for (std::size_t i = width; i-- > 0;)
        value = value << 8 | static_cast<unsigned char>(bytes[at + offset + i]);
      return value;
    };
    const std::size_t content = at + 30 + number(26, 2) + number(28, 2);
    EXPECT_EQ(content % 64, 0U) << bytes.substr(at + 30, number(26, 2));
    at = content + number(18, 4);
  }
  EXPECT_EQ(entries, convnet_state().size() + 3);
}

TEST_F(Checkpoint, LeavesNoOtherFile) {
  save_checkpoint(convnet_state(), file_);
  save_checkpoint({{"x", zeros({1})}}, file_);
  EXPECT_EQ(folder_.files(), 1);
  EXPECT_EQ(load_checkpoint(file_).size(), 1U);
}

TEST_F(Checkpoint, ABadStateLeavesTheOldFile) {
  save_checkpoint(convnet_state(), file_);
  const std::string message = error_of([&] { save_checkpoint({{"x", {Shape{2}, {1.0}}}}, file_); });
  EXPECT_THAT(message, HasSubstr("cannot save checkpoint " + file_.string() + ": tensor \"x\": 1 values"));
  EXPECT_EQ(load_checkpoint(file_), convnet_state());
  EXPECT_EQ(folder_.files(), 1);
}

TEST_F(Checkpoint, RefusesWhatIsNoFile) {
  const auto error_of_path = [](const std::filesystem::path& path) {
    return error_of([&] { load_checkpoint(path); });
  };
  EXPECT_EQ(error_of_path(file_), "cannot read " + file_.string() + ": No such file or directory");
  EXPECT_THAT(error_of_path(folder_.path()), HasSubstr("it is a folder, not a regular file"));
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  EXPECT_THAT(error_of_path(file_), HasSubstr("it is a FIFO, not a regular file"));  // and does not wait
  EXPECT_THAT(error_of_path(folder_ / "no/such/folder"), HasSubstr("No such file or directory"));
}

TEST_F(Checkpoint, RefusesOtherFormats) {
  EXPECT_THAT(error_of_bytes(""), HasSubstr("it is not a file that torch.save wrote"));
  EXPECT_THAT(error_of_bytes("P"), HasSubstr("it is not a file that torch.save wrote"));
  const std::pair<std::string, const char*> others[] = {
      {"\x80\x04\x95", "it is a bare pickle, as pickle.dump writes it; save the state dict with torch.save("},
      {"\x93NUMPY\x01", "it is a NumPy array; save a state dict with torch.save(model.state_dict(), file)"},
      {"\x89HDF\r\n\x1a\n", "it is an HDF5 file, as Keras saves weights"},
      {"\x1f\x8b\x08", "it is compressed with gzip; unpack it first"},
      {"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of Git LFS"},
      {"<!DOCTYPE html>", "it is a web page, not a checkpoint"}};
  for (const auto& [bytes, advice] : others) EXPECT_THAT(error_of_bytes(bytes), HasSubstr(advice));
  EXPECT_THAT(error_of_bytes(std::string(1000, 'x')), HasSubstr("it is not a file that torch.save wrote"));
  EXPECT_THAT(error_of_bytes("PK\x03\x04 and no more"),
              HasSubstr("it is a truncated or damaged zip archive"));
}

TEST_F(Checkpoint, RefusesMissingOrForeignEntries) {
  EXPECT_EQ(error_of_entries(sound_entries()), "");
  auto entries = sound_entries();
  entries.erase(entries.begin() + 1);  // PyTorch before 2.1 writes no byteorder
  EXPECT_EQ(error_of_entries(entries), "");

  const auto without = [&](std::size_t k) {
    auto rest = sound_entries();
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(k));
    return error_of_entries(rest);
  };
  EXPECT_THAT(without(0), HasSubstr("it has no zip entry \"archive/data.pkl\""));
  EXPECT_THAT(without(2), HasSubstr("tensor \"x\": it has no zip entry \"archive/data/0\""));
  EXPECT_THAT(without(3), HasSubstr("it has no zip entry \"archive/version\""));

  const auto with = [&](std::size_t k, std::string bytes) {
    auto changed = sound_entries();
    changed[k].bytes = std::move(bytes);
    return error_of_entries(changed);
  };
  EXPECT_THAT(with(1, "big"), HasSubstr("its byte order is \"big\", not \"little\""));
  EXPECT_THAT(with(1, "\n"), HasSubstr("its byte order is \"\\x0a\""));
  EXPECT_THAT(with(2, std::string(23, '\0')), HasSubstr("has 23 bytes, not 6 elements of 4 bytes"));
  EXPECT_THAT(with(2, ""), HasSubstr("has 0 bytes"));
  EXPECT_EQ(with(3, "10\n"), "");
  for (const char* version : {"", "0\n", "11\n", "3", "33", "x\n"}) {
    EXPECT_THAT(with(3, version), HasSubstr("its format version is")) << version;
  }
}

TEST_F(Checkpoint, StorageKeysDoNotLeaveTheArchive) {
  auto entries = sound_entries();
  entries[0].bytes = PickleAssembler::state().entry("x", {.key = "../../../../etc/passwd"}).stop();
  EXPECT_THAT(error_of_entries(entries), HasSubstr("no zip entry \"archive/data/../../../../etc/passwd\""));
  entries[0].bytes = PickleAssembler::state().entry("x", {.key = "0\n\x1b"}).stop();
  EXPECT_THAT(error_of_entries(entries), HasSubstr("no zip entry \"archive/data/0\\x0a\\x1b\""));
}

TEST_F(Checkpoint, RefusesCompressedEntries) {
  int code = 0;
  zip_t* const archive = zip_open(file_.c_str(), ZIP_CREATE, &code);
  ASSERT_NE(archive, nullptr);
  const std::string bomb(1 << 20, '\0');
  const zip_int64_t index =
      zip_file_add(archive, "archive/data.pkl", zip_source_buffer(archive, bomb.data(), bomb.size(), 0), 0);
  ASSERT_EQ(zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_DEFLATE, 9), 0);
  ASSERT_EQ(zip_close(archive), 0);
  EXPECT_THAT(error_of_file(), HasSubstr("its zip entry \"archive/data.pkl\" is compressed or encrypted"));
}

/// `bytes` with every `from` replaced by `to`, which is as long.
std::string replaced(std::string bytes, std::string_view from, std::string_view to) {
  for (std::size_t at = bytes.find(from); at != std::string::npos; at = bytes.find(from, at)) {
    bytes.replace(at, from.size(), to);
  }
  return bytes;
}

TEST_F(Checkpoint, RefusesUnsoundArchives) {
  auto entries = sound_entries();
  entries.push_back({"data/1", ""});
  const std::string sound = torch_archive(entries);
  EXPECT_EQ(error_of_bytes(sound), "");
  EXPECT_THAT(error_of_bytes(replaced(sound, "data/1", "data/0")),
              HasSubstr("two zip entries \"archive/data/0\""));
  EXPECT_THAT(error_of_bytes(replaced(sound, "archive/data/1", "another/data/1")), HasSubstr("lies outside"));
  EXPECT_THAT(error_of_bytes(replaced(sound, "archive/", "archive_")), HasSubstr("lies outside"));

  // Two sizes of the central record of data/0, both made to claim 2 GiB.
  std::string bomb = torch_archive(sound_entries());
  const std::size_t record = bomb.find("PK\x01\x02");
  const std::size_t name = bomb.find("archive/data/0", record);
  bomb.replace(name - 46 + 20, 8, "\0\0\0\x7f\0\0\0\x7f"s);
  EXPECT_THAT(error_of_bytes(bomb), HasSubstr("its zip entries are larger than the file"));

  std::string damaged = torch_archive(sound_entries());
  damaged[(damaged.find("archive/data/0") / 64 + 1) * 64] ^= 1;  // the storage: aligned, behind its header
  EXPECT_THAT(error_of_bytes(damaged), HasSubstr("its zip entry \"archive/data/0\" is truncated or damaged"));
}

/// A small checkpoint with all that a large one has.
StateDict small_state() { return {{"weight", ramp({2, 3}, 0)}, {"steps", {Shape{}, {7.0}, DType::int64}}}; }

TEST_F(Checkpoint, EveryTruncationIsRefused) {
  save_checkpoint(small_state(), file_);
  for (std::uintmax_t length = std::filesystem::file_size(file_); length-- > 0;) {
    std::filesystem::resize_file(file_, length);
    EXPECT_NE(error_of_file(), "") << length;
  }
}

TEST_F(Checkpoint, EveryCorruptByteIsRefusedOrRead) {
  save_checkpoint(small_state(), file_);
  const std::string bytes = read_file(file_);
  std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
  const auto put = [&file](std::size_t at, int value) {
    file.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(value)).flush();
    ASSERT_TRUE(file.good());
  };
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      put(at, bytes[at] ^ flip);
      StateDict state;
      const std::string message = error_of([&] { state = load_checkpoint(file_); });
      // Checksums guard every byte of content: what loads has the saved values.
      if (message.empty()) {
        EXPECT_EQ(state, small_state()) << at << " ^ " << flip;
      }
    }
    put(at, bytes[at]);
  }
}

}  // namespace
}  // namespace convoy
