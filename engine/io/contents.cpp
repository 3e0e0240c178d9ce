#include "engine/io/contents.h"

#include <fmt/format.h>

#include <new>

#include "convoy/error.h"
#include "engine/core/file.h"
#include "engine/io/pickled_contents.h"
#include "engine/io/safetensors_header.h"
#include "engine/io/torch_file.h"

namespace convoy {
namespace {

FileContents contents_of_torch(InputFile& file, TorchFormat format) {
  FileContents contents;
  read_torch_file(file, [&](std::string_view pickle, const StorageReader& storage, std::uint64_t most) {
    contents = contents_of_pickle(pickle, storage, most);
  });
  if (contents.kind.empty()) {
    contents.kind = format == TorchFormat::legacy ? "a checkpoint as PyTorch wrote it before 1.6"
                                                  : "a checkpoint as torch.save writes it";
  }
  return contents;
}

FileContents contents_of_safetensors(InputFile& file) {
  SafetensorsHeader header = read_safetensors_header(file);
  FileContents contents{.kind = "safetensors"};
  contents.metadata = std::move(header.metadata);
  if (header.tensors.empty()) return contents;
  std::vector<StoredTensor>& tensors = contents.groups.emplace_back().tensors;
  for (const SafetensorsTensor& tensor : header.tensors) {
    StoredTensor& stored = tensors.emplace_back(StoredTensor{.name = tensor.name, .shape = tensor.shape});
    stored.type = tensor.element ? name_of(*tensor.element) : tensor.type;
    summarize_into(stored, [&] { return read_safetensors(tensor, header.data_begin, file); });
  }
  return contents;
}

}  // namespace

bool holds_tensors(const std::filesystem::path& file) {
  const std::string start = InputFile(file).read_text(kLongestMagic);
  return torch_format(start) != TorchFormat::none || is_safetensors(start);
}

FileContents contents_of(const std::filesystem::path& file) {
  InputFile input(file);
  try {
    const std::string start = input.read_text(kLongestMagic);
    if (is_safetensors(start)) return contents_of_safetensors(input);
    return contents_of_torch(input, torch_format(start));
  } catch (const Error& error) {
    throw Error(fmt::format("cannot read {}: {}", file.string(), error.what()));
  } catch (const std::bad_alloc&) {  // a sparse file can claim any size
    throw Error(fmt::format("cannot read {}: not enough memory", file.string()));
  }
}

}  // namespace convoy
