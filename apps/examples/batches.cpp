// The same ConvNet, trained by a loop of one's own on batches from the program's memory. Run it as
// `convoy_batches_example [FOLDER]`; without FOLDER: CONVOY_DATA, ./data, or a download.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <span>

#include <convoy/convoy.h>

using namespace convoy;

void run(const char* folder) {
  const char* environment = std::getenv("CONVOY_DATA");
  const DataLocation found =
      locate("mnist", {.explicit_folder = folder,
                       .environment = environment ? environment : "",
                       .environment_name = "CONVOY_DATA",
                       .project_data = "data",
                       .say = [](const std::string& line) { std::puts(line.c_str()); }});
  const auto [train, test] = load(found.dataset, found.folder);
  const BackendChoice device = make_backend("auto");
  const Model model = builtin_model("convnet", train.image, train.classes);
  BatchTrainer net(*device.backend, model, initial_state(model, 1),
                   {.optimizer = AdamOptions{.learning_rate = 1e-3f}});
  const std::size_t size = 28 * 28, batch = 100, steps = 600;
  std::vector<std::size_t> order(train.labels.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  std::vector<float> images(batch * size);  // filled by the loop, as any program would fill it
  std::vector<std::uint8_t> labels(batch);
  for (std::size_t step = 1; step <= steps; ++step) {
    for (std::size_t i = 0; i < batch; ++i) {
      const std::size_t sample = order[((step - 1) * batch + i) % order.size()];
      for (std::size_t p = 0; p < size; ++p) images[i * size + p] = train.pixels[sample * size + p] / 255.0f;
      labels[i] = train.labels[sample];
    }
    net.forward(images);
    const double loss = net.loss(labels);
    net.backward();
    net.step();
    if (step % 100 == 0) std::printf("Step [%zu/%zu], Loss: %.4f\n", step, steps, loss);
  }
  int correct = 0;
  for (std::size_t begin = 0; begin < test.labels.size(); begin += batch) {
    const auto logits = net.evaluate(std::span(test.pixels).subspan(begin * size, batch * size));
    for (std::size_t i = 0; i < batch; ++i) {
      const auto row = std::span(logits).subspan(i * 10, 10);
      correct += std::ranges::max_element(row) - row.begin() == test.labels[begin + i];
    }
  }
  std::printf("%d of %zu test images are right\n", correct, test.labels.size());
}

int main(int argc, char** argv) try { run(argc > 1 ? argv[1] : ""); } catch (const std::exception& error) {
  std::fprintf(stderr, "batches: %s\n", error.what());
  return 1;
}
