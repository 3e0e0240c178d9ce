// Trains a few steps on made-up images through the installed headers and libraries alone.
#include <cstdio>

#include <convoy/convoy.h>

// The backend's name may be given; else the best is taken.
int main(int count, char** arguments) {
  convoy::Dataset data{.name = "stripes", .image = {1, 8, 8}, .classes = 2};
  for (int i = 0; i < 32; ++i) {
    for (int pixel = 0; pixel < 64; ++pixel) {
      const int stripe = i % 2 == 0 ? pixel % 8 : pixel / 8;
      data.pixels.push_back(stripe % 2 == 0 ? 255 : 0);
    }
    data.labels.push_back(static_cast<std::uint8_t>(i % 2));
  }

  auto [backend, reason] = convoy::make_backend(count > 1 ? arguments[1] : "auto");
  const convoy::Model model = convoy::builtin_model("convnet", data.image, data.classes);
  convoy::Trainer trainer(*backend, model, convoy::initial_state(model, 1), {.batch_size = 8, .epochs = 5});
  trainer.fit(data);
  const double accuracy = trainer.evaluate(data).accuracy;
  std::printf("%s: accuracy %.2f\n", reason.c_str(), accuracy);
  return accuracy == 1.0 ? 0 : 1;
}
