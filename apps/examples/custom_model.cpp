// A network of one's own: two residual blocks with group norm, written as data. It is trained on MNIST, or on
// any data set in MNIST's files, and left as model.json and model.ckpt, which `convoy eval`, `convoy predict`
// and PyTorch read. Run it as `convoy_custom_model_example [FOLDER]`; without FOLDER: CONVOY_DATA, ./data, or
// a download.
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <convoy/convoy.h>

using namespace convoy;

Conv2d conv3x3(std::int64_t from, std::int64_t to, std::int64_t stride = 1) {
  return {.in_channels = from,
          .out_channels = to,
          .kernel_size = {3, 3},
          .stride = {stride, stride},
          .padding = {1, 1},
          .bias = false};
}

// Halves the image and doubles the channels; the shortcut does so by a convolution of 1 x 1.
Residual block(std::int64_t from, std::int64_t to) {
  const Conv2d across = {.in_channels = from, .out_channels = to, .stride = {2, 2}, .bias = false};
  return {.body = {{"conv1", conv3x3(from, to, 2)},
                   {"norm1", GroupNorm{.num_groups = 4, .num_channels = to}},
                   {"relu", ReLU{}},
                   {"conv2", conv3x3(to, to)},
                   {"norm2", GroupNorm{.num_groups = 4, .num_channels = to}}},
          .shortcut = {{"across", across}}};
}

Model small_resnet(const Shape& image, std::int64_t classes) {
  const std::int64_t height = (image[1] + 3) / 4, width = (image[2] + 3) / 4;  // behind two blocks
  return {.name = "small-resnet",
          .input = image,
          .layers = {{"stem", conv3x3(image[0], 8)},
                     {"block1", block(8, 16)},
                     {"relu1", ReLU{}},
                     {"block2", block(16, 32)},
                     {"relu2", ReLU{}},
                     {"flatten", Flatten{}},
                     {"fc", Linear{.in_features = 32 * height * width, .out_features = classes}}}};
}

void run(const char* folder) {
  const char* environment = std::getenv("CONVOY_DATA");
  const DataLocation found =
      locate("mnist", {.explicit_folder = folder,
                       .environment = environment ? environment : "",
                       .project_data = "data",
                       .say = [](const std::string& line) { std::puts(line.c_str()); }});
  const auto [train, test] = load(found.dataset, found.folder);
  Model model = small_resnet(train.image, train.classes);
  std::fputs(summary(model, 100).c_str(), stdout);

  const BackendChoice device = make_backend("auto");
  const TrainOptions options = {.epochs = 5, .optimizer = AdamOptions{.learning_rate = 3e-3f}};
  Trainer trainer(*device.backend, model, initial_state(model, options.seed), options);
  TrainObserver observer;
  observer.epoch = [](const EpochReport& r) { std::printf("Epoch %ld: loss %.4f\n", r.epoch, r.loss); };
  trainer.fit(train, observer);
  std::printf("Test accuracy %.2f %%\n", 100 * trainer.evaluate(test).accuracy);

  model.preparation = measure_preparation(train, found.dataset);  // so that predict treats pictures alike
  std::ofstream("model.json") << to_json(model);
  save_checkpoint(trainer.state(), "model.ckpt");
}

int main(int argc, char** argv) try { run(argc > 1 ? argv[1] : ""); } catch (const std::exception& error) {
  std::fprintf(stderr, "custom_model: %s\n", error.what());
  return 1;
}
