// Data of one's own: a Dataset is bytes in memory, wherever they come from. Here the program draws them,
// discs and squares and crosses in colour under noise. A built-in network learns them; then it is asked about
// images that it has not seen. Run it as `convoy_custom_data_example`.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <span>

#include <convoy/convoy.h>

using namespace convoy;

constexpr int kSide = 32, kChannels = 3;
constexpr const char* kNames[] = {"disc", "square", "cross"};

bool is_inside(int label, double x, double y, double radius) {
  if (label == 0) return x * x + y * y < radius * radius;
  if (label == 1) return std::max(std::abs(x), std::abs(y)) < radius;
  return std::min(std::abs(x), std::abs(y)) < radius / 3 && std::max(std::abs(x), std::abs(y)) < radius;
}

Dataset draw(const std::string& name, int count, unsigned seed) {
  // The bytes of an image are its planes, red, green and blue, each row by row.
  Dataset data = {.name = name, .image = {kChannels, kSide, kSide}, .classes = 3};
  std::mt19937 random(seed);
  const auto between = [&](int low, int high) {
    return low + static_cast<int>(random() % (high - low + 1u));
  };
  for (int i = 0; i < count; ++i) {
    const int label = i % 3, left = between(11, 20), top = between(11, 20), radius = between(6, 10);
    for (int channel = 0; channel < kChannels; ++channel) {
      const int paper = between(0, 80), ink = between(140, 220);
      for (int pixel = 0; pixel < kSide * kSide; ++pixel) {
        const bool inside = is_inside(label, pixel % kSide - left, pixel / kSide - top, radius);
        data.pixels.push_back(static_cast<std::uint8_t>((inside ? ink : paper) + between(0, 35)));
      }
    }
    data.labels.push_back(static_cast<std::uint8_t>(label));
  }
  // What is added to zero mean and unit variance on the device.
  data.normalization = {.mean = {0.4f, 0.4f, 0.4f}, .std = {0.25f, 0.25f, 0.25f}};
  return data;
}

void run() {
  const Dataset train = draw("shapes to learn", 1500, 1), test = draw("shapes to test", 300, 2);
  const BackendChoice device = make_backend("auto");
  const Model model = builtin_model("convnet", train.image, train.classes);
  const TrainOptions options = {.batch_size = 50, .epochs = 4};
  Trainer trainer(*device.backend, model, initial_state(model, options.seed), options);
  trainer.fit(train);
  std::printf("Test accuracy %.2f %%\n", 100 * trainer.evaluate(test).accuracy);

  // A trained model without what only training needs, which also folds batch norms into convolutions.
  Inference inference(*device.backend, model, trainer.state(), 3);
  const Dataset some = take(test, 3);
  const std::vector<double> logits = inference.predict(some);
  for (std::size_t i = 0; i < some.labels.size(); ++i) {
    const auto row = std::span(logits).subspan(3 * i, 3);
    std::printf("a %s is taken for a %s\n", kNames[some.labels[i]],
                kNames[std::ranges::max_element(row) - row.begin()]);
  }
}

int main() try { run(); } catch (const std::exception& error) {
  std::fprintf(stderr, "custom_data: %s\n", error.what());
  return 1;
}
