// darknet's training step of the classic ConvNet. Its convolutions on a CPU have one thread and no Adam: the
// update is SGD with momentum, which is less work. There is one variant: fp32.
#include <darknet.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "step_timer.h"

namespace {

constexpr const char* kBlock =
    "[convolutional]\nbatch_normalize=1\nfilters=%d\nsize=5\nstride=1\npad=1\nactivation=relu\n"
    "[maxpool]\nsize=2\nstride=2\n";

/// darknet reads a network from a file alone.
network* convnet(int batch_size) {
  char path[] = "/tmp/convnet_XXXXXX";
  const int file = mkstemp(path);
  if (file < 0) throw std::runtime_error("cannot write to /tmp");
  dprintf(file, "[net]\nbatch=%d\nsubdivisions=1\nheight=28\nwidth=28\nchannels=1\n", batch_size);
  dprintf(file, "learning_rate=0.01\nmomentum=0.9\ndecay=0\nmax_batches=1000000\npolicy=constant\n");
  for (const int filters : {16, 32}) dprintf(file, kBlock, filters);
  dprintf(file, "[connected]\noutput=10\nactivation=linear\n[softmax]\n");
  close(file);
  network* net = parse_network_cfg(path);
  unlink(path);
  return net;
}

std::string run(const step_timer::Job& job, const step_timer::Words& words) {
  if (words != step_timer::Words{"fp32"}) throw std::invalid_argument("there is fp32 alone");
  const auto [pixels, classes] = step_timer::random_batch(job.batch_size);
  network* net = convnet(job.batch_size);
  std::copy(pixels.begin(), pixels.end(), net->input);
  std::fill_n(net->truth, job.batch_size * 10, 0.0F);
  for (std::size_t i = 0; i < classes.size(); ++i)
    net->truth[i * 10 + static_cast<std::size_t>(classes[i])] = 1;
  return step_timer::time_steps(job, [&]() -> double { return train_network_datum(net); });
}

}  // namespace

int main(int argc, char** argv) { return step_timer::serve(step_timer::parse(argc, argv), "of 2018", run); }
