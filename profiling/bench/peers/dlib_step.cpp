// dlib's training step of the classic ConvNet. It multiplies matrices by the system's BLAS, whose threads
// OMP_NUM_THREADS sets; everything else has one thread. There is one variant: fp32.
#include <dlib/dnn.h>
#include <dlib/revision.h>

#include "step_timer.h"

namespace {

template <long filters, typename Below>
using Block =
    dlib::max_pool<2, 2, 2, 2,
                   dlib::relu<dlib::bn_con<dlib::add_layer<dlib::con_<filters, 5, 5, 1, 1, 2, 2>, Below>>>>;

using ConvNet =
    dlib::loss_multiclass_log<dlib::fc<10, Block<32, Block<16, dlib::input<dlib::matrix<float>>>>>>;

std::string run(const step_timer::Job& job, const step_timer::Words& words) {
  if (words != step_timer::Words{"fp32"}) throw std::invalid_argument("there is fp32 alone");
  const auto [pixels, classes] = step_timer::random_batch(job.batch_size);
  std::vector<dlib::matrix<float>> images;
  for (int i = 0; i < job.batch_size; ++i)
    images.push_back(dlib::mat(&pixels[static_cast<std::size_t>(i) * 784], 28, 28));
  const std::vector<unsigned long> labels(classes.begin(), classes.end());

  ConvNet net;
  dlib::resizable_tensor batch;
  net.to_tensor(images.begin(), images.end(), batch);
  std::vector<dlib::adam> solvers(ConvNet::num_computational_layers, dlib::adam(0, 0.9F, 0.999F));
  return step_timer::time_steps(job, [&] {
    const double loss = net.compute_parameter_gradients(batch, labels.begin());
    net.update_parameters(dlib::make_sstack(solvers), 1e-3);
    return loss;
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::string version = std::to_string(DLIB_MAJOR_VERSION) + "." + std::to_string(DLIB_MINOR_VERSION);
  return step_timer::serve(step_timer::parse(argc, argv), version, run);
}
