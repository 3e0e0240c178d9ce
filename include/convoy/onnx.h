/// @file
/// Models as ONNX files, for onnxruntime and what else reads them, and from PyTorch and what else writes
/// them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "convoy/host_tensor.h"
#include "convoy/model.h"

namespace convoy {

/// The version of the operators that save_onnx writes.
inline constexpr int kOnnxOpset = 17;

/// Writes a model and its weights as an ONNX file of opset 17. The graph takes `input`, float32 [batch, C, H,
/// W] with any batch, and puts out `logits`, float32 [batch, classes]. The input is normalised as in
/// training, as it is for a PyTorch module that torch.onnx.export writes. What that takes, and the names of
/// the classes, are in the file's metadata_props as JSON: `preparation` is what model files have under that
/// key (model.preparation), `classes` an array. Batch norms, dropouts and group norms stay what they are in
/// evaluation; see fold_batch_norm to have no batch norm. The file appears whole or not at all, after `check`
/// was called with a temporary file of that content; if it throws, nothing is written. Throws Error if
/// `state` is not the model's, if the weights take 2 GB or more, which no ONNX file can hold, and in a build
/// without ONNX; UsageError unless the model puts out [N, classes].
void save_onnx(const Model& model, const StateDict& state, const std::vector<std::string>& classes,
               const std::filesystem::path& file,
               const std::function<void(const std::filesystem::path& temporary)>& check = {});

/// A network that was read.
struct OnnxModel {
  Model model;      ///< with `preparation` if Convoy wrote the file
  StateDict state;  ///< in the model's `state_dict()` order; counters of batch norms are 0

  /// What is another way here than in the file, one line for each node; the classes that the model tells are
  /// the same all the same.
  std::vector<std::string> notes;
};

/// Reads a network whose nodes are Conv, BatchNormalization, Relu, MaxPool, AveragePool, GlobalAveragePool
/// (or ReduceMean over the plane), Flatten, Reshape and Squeeze that flatten, Gemm, MatMul, Add (of the two
/// branches of a residual, or of a bias behind MatMul or Conv), Dropout, Identity and Constant, a Softmax or
/// LogSoftmax as the last, and what computes a shape for a Reshape; also the group norms that save_onnx
/// writes. Opset 7 or newer, images [N, C, H, W] of a fixed size, weights of float16, bfloat16, float32 or
/// float64, in the file or in files beside it. Layers are named after their weights, else their nodes. Throws
/// Error that names the file, and the node with its operator or attribute that is not read, or the layer that
/// `infer` refuses.
OnnxModel load_onnx(const std::filesystem::path& file);

}  // namespace convoy
