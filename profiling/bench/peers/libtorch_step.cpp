// libtorch's training step of the classic ConvNet. Words of a variant: fp32 or bf16 (autocast); contiguous or
// channels_last; default Adam (torch::optim) or fused, which has no class in C++ and is called by its
// operator.
#include <ATen/autocast_mode.h>
#include <torch/torch.h>

#include "step_timer.h"

namespace {

torch::nn::Sequential convnet() {
  torch::nn::Sequential net;
  for (const auto& [in, out] : {std::pair{1, 16}, std::pair{16, 32}}) {
    net->push_back(torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 5).padding(2)));
    net->push_back(torch::nn::BatchNorm2d(out));
    net->push_back(torch::nn::ReLU());
    net->push_back(torch::nn::MaxPool2d(torch::nn::MaxPool2dOptions(2).stride(2)));
  }
  net->push_back(torch::nn::Flatten());
  net->push_back(torch::nn::Linear(7 * 7 * 32, 10));
  return net;
}

class FusedAdam {
 public:
  explicit FusedAdam(std::vector<at::Tensor> parameters) : parameters_(std::move(parameters)) {
    for (const at::Tensor& parameter : parameters_) {
      mean_.push_back(at::zeros_like(parameter));
      square_.push_back(at::zeros_like(parameter));
      steps_.push_back(at::zeros({}));
    }
  }

  void step() {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& parameter : parameters_) gradients.push_back(parameter.grad());
    at::_foreach_add_(steps_, 1);
    at::_fused_adam_(parameters_, gradients, mean_, square_, {}, steps_, 1e-3, 0.9, 0.999, 0, 1e-8, false,
                     false);
  }

 private:
  std::vector<at::Tensor> parameters_, mean_, square_, steps_;
};

std::string run(const step_timer::Job& job, const step_timer::Words& words) {
  torch::manual_seed(1);
  torch::nn::Sequential net = convnet();
  at::Tensor images = torch::rand({job.batch_size, 1, 28, 28});
  const at::Tensor labels = torch::randint(10, {job.batch_size}, torch::kLong);
  if (words.count("channels_last") != 0) {
    for (at::Tensor& parameter : net->parameters())
      if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
    images = images.contiguous(at::MemoryFormat::ChannelsLast);
  }
  const bool fused = words.count("fused") != 0;
  const bool bf16 = words.count("bf16") != 0;
  FusedAdam fused_adam(net->parameters());
  torch::optim::Adam adam(net->parameters(), torch::optim::AdamOptions(1e-3));
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);

  return step_timer::time_steps(job, [&]() -> double {
    for (at::Tensor& parameter : net->parameters()) parameter.mutable_grad().reset();
    at::autocast::set_autocast_enabled(at::kCPU, bf16);
    const at::Tensor loss = torch::nn::functional::cross_entropy(net->forward(images), labels);
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::clear_cache();
    loss.backward();
    fused ? fused_adam.step() : static_cast<void>(adam.step());
    return loss.item<double>();
  });
}

}  // namespace

int main(int argc, char** argv) {
  const step_timer::Job job = step_timer::parse(argc, argv);
  at::set_num_threads(job.threads);
  return step_timer::serve(job, TORCH_VERSION, run);
}
