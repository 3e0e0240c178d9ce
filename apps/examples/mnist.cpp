// Trains a ConvNet on MNIST: two blocks of convolution, batch norm, ReLU and max pool, then one linear layer.
// Run it as `convoy_mnist_example [FOLDER]`. Without FOLDER the data is taken from CONVOY_DATA, else from
// ./data/mnist, where it is downloaded if it is missing.
#include <cstdio>
#include <cstdlib>

#include <convoy/convoy.h>

using namespace convoy;

Model conv_net() {
  const Extent k5 = {5, 5}, p2 = {2, 2};
  return {.name = "ConvNet",
          .input = {1, 28, 28},
          .layers = {
              {"layer1.0", Conv2d{.in_channels = 1, .out_channels = 16, .kernel_size = k5, .padding = p2}},
              {"layer1.1", BatchNorm2d{.num_features = 16}},
              {"layer1.2", ReLU{}},
              {"layer1.3", MaxPool2d{}},
              {"layer2.0", Conv2d{.in_channels = 16, .out_channels = 32, .kernel_size = k5, .padding = p2}},
              {"layer2.1", BatchNorm2d{.num_features = 32}},
              {"layer2.2", ReLU{}},
              {"layer2.3", MaxPool2d{}},
              {"flatten", Flatten{}},
              {"fc", Linear{.in_features = 7 * 7 * 32, .out_features = 10}}}};
}

void run(const char* folder) {
  const char* environment = std::getenv("CONVOY_DATA");
  DataSearch search;
  search.explicit_folder = folder;
  search.environment_name = "CONVOY_DATA";
  search.environment = environment != nullptr ? environment : "";
  search.project_data = "data";
  search.say = [](const std::string& line) { std::puts(line.c_str()); };
  const DataLocation found = locate("mnist", search);
  const DatasetPair data = load(found.dataset, found.folder);

  const Model model = conv_net();
  const TrainOptions options = {
      .batch_size = 100, .epochs = 5, .optimizer = AdamOptions{.learning_rate = 1e-3f}, .seed = 1};
  const BackendChoice device = make_backend("auto");
  Trainer trainer(*device.backend, model, initial_state(model, options.seed), options);
  TrainObserver observer;
  observer.step = [](const StepReport& r) {
    std::printf("Epoch [%ld/%ld], Step [%ld/%ld], Loss: %.4f\n", r.epoch, r.epochs, r.step, r.steps, r.loss);
  };
  trainer.fit(data.train, observer);

  const Evaluation test = trainer.evaluate(data.test);
  std::printf("Test accuracy of the model on the %ld test images: %.2f %%\n", test.samples,
              100 * test.accuracy);
  save_checkpoint(trainer.state(), "model.ckpt");  // torch.load reads it
}

int main(int argc, char** argv) try { run(argc > 1 ? argv[1] : ""); } catch (const std::exception& error) {
  std::fprintf(stderr, "mnist: %s\n", error.what());
  return 1;
}
