// tiny-dnn's training step of the classic ConvNet. There is one variant: fp32.
#ifdef __AVX__
#define CNN_USE_AVX
#endif
#define CNN_USE_OMP
#define CNN_NO_SERIALIZATION
#include <omp.h>
#include <tiny_dnn/tiny_dnn.h>

#include "step_timer.h"

namespace {

using Loss = tiny_dnn::cross_entropy_multiclass;
using Network = tiny_dnn::network<tiny_dnn::sequential>;

struct Enough : std::exception {};  // fit() has no other way to end early

Network convnet() {
  Network net;
  const auto same = tiny_dnn::padding::same;
  net << tiny_dnn::convolutional_layer<tiny_dnn::activation::identity>(28, 28, 5, 1, 16, same)
      << tiny_dnn::batch_normalization_layer(28 * 28, 16)
      << tiny_dnn::max_pooling_layer<tiny_dnn::activation::relu>(28, 28, 16, 2)
      << tiny_dnn::convolutional_layer<tiny_dnn::activation::identity>(14, 14, 5, 16, 32, same)
      << tiny_dnn::batch_normalization_layer(14 * 14, 32)
      << tiny_dnn::max_pooling_layer<tiny_dnn::activation::relu>(14, 14, 32, 2)
      << tiny_dnn::fully_connected_layer<tiny_dnn::activation::softmax>(7 * 7 * 32, 10);
  return net;
}

double mean_loss(Network& net, const std::vector<tiny_dnn::vec_t>& images,
                 const std::vector<tiny_dnn::vec_t>& targets) {
  net.set_netphase(tiny_dnn::net_phase::train);
  std::vector<tiny_dnn::tensor_t> batch;
  for (const tiny_dnn::vec_t& image : images) batch.push_back({image});
  const std::vector<tiny_dnn::tensor_t> outputs = net.predict(batch);
  double sum = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) sum += Loss::f(outputs[i][0], targets[i]);
  return sum / static_cast<double>(outputs.size());
}

std::string run(const step_timer::Job& job, const step_timer::Words& words) {
  if (words != step_timer::Words{"fp32"}) throw std::invalid_argument("there is fp32 alone");
  const auto [pixels, classes] = step_timer::random_batch(job.batch_size);
  std::vector<tiny_dnn::vec_t> images;
  std::vector<tiny_dnn::vec_t> targets;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const float* image = &pixels[i * 784];
    images.emplace_back(image, image + 784);
    targets.emplace_back(10, 0.0F);
    targets.back()[static_cast<std::size_t>(classes[i])] = 1;
  }

  Network net = convnet();
  net.init_weight();
  const double first = mean_loss(net, images, targets);
  tiny_dnn::adam adam;
  step_timer::Stopwatch watch(job);
  const auto go_on = [&] {
    if (!watch.tick()) throw Enough();
  };
  try {
    go_on();
    net.fit<Loss>(adam, images, targets, classes.size(), 1 << 30, go_on, [] {});
  } catch (const Enough&) {
  }
  return watch.json(first, mean_loss(net, images, targets));
}

}  // namespace

int main(int argc, char** argv) {
  const step_timer::Job job = step_timer::parse(argc, argv);
  omp_set_num_threads(job.threads);
  return step_timer::serve(job, "1.0.0a3", run);
}
