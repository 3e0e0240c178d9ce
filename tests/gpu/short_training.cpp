#include "tests/gpu/short_training.h"

#include "convoy/builtin.h"
#include "convoy/state.h"
#include "engine/core/philox.h"

namespace convoy::test {

Dataset stripes(std::int64_t count) {
  Dataset data{.name = "stripes", .image = {1, 8, 8}, .classes = 2};
  PhiloxSequence random({7, 0});
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::uint8_t>(i % 2);
    for (unsigned pixel = 0; pixel < 64; ++pixel) {
      const bool lit = (label == 0 ? pixel % 8 : pixel / 8) % 4 < 2;
      data.pixels.push_back(static_cast<std::uint8_t>((lit ? 128 : 0) + random.below(100)));
    }
    data.labels.push_back(label);
  }
  return data;
}

Trained train_on_stripes(DeviceOptions options, TrainOptions training) {
  Trained trained;
  options.say = [&](const std::string& line, Remedy) { trained.said.push_back(line); };
  if (!options.precision) options.precision = Precision::fp32;
  const auto backend = make_cuda_backend(options);
  const Dataset data = stripes(38);
  const Model model = builtin_model("convnet", {1, 8, 8}, 2);
  training.batch_size = 10;
  training.epochs = 3;
  Trainer trainer(*backend, model, initial_state(model, 3), training);
  trainer.fit(data);
  trained.evaluation = trainer.evaluate(data);
  trained.state = trainer.state();
  return trained;
}

std::string precision_name(const testing::TestParamInfo<Precision>& info) { return name_of(info.param); }

}  // namespace convoy::test
