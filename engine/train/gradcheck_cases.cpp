#include "convoy/builtin.h"
#include "engine/train/gradcheck.h"

namespace convoy {
namespace {

GradcheckCase single(const std::string& name, Shape input, Layer layer, std::int64_t batch) {
  return {name, Model{name, std::move(input), {{"layer", std::move(layer)}}}, batch};
}

GradcheckCase chain(const std::string& name, Shape input, std::vector<NamedLayer> layers,
                    std::int64_t batch) {
  return {name, Model{name, std::move(input), std::move(layers)}, batch};
}

void add_convolutions(std::vector<GradcheckCase>& cases) {
  const auto conv = [&](const std::string& name, Shape input, const Conv2d& layer, std::int64_t batch) {
    cases.push_back(single("Conv2d " + name, std::move(input), layer, batch));
  };
  conv("1->16 k5 p2", {1, 9, 7}, {1, 16, {5, 5}, {1, 1}, {2, 2}}, 3);
  conv("3->5 k3 s2 p1", {3, 8, 7}, {3, 5, {3, 3}, {2, 2}, {1, 1}}, 2);
  conv("4->6 k3x2 s2x1 p1x0 d2x1 g2", {4, 9, 6}, {4, 6, {3, 2}, {2, 1}, {1, 0}, {2, 1}, 2}, 3);
  conv("6->6 k3 p1 depthwise, no bias", {6, 5, 5}, {6, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 6, false}, 2);
  conv("17->19 k1", {17, 3, 4}, {17, 19}, 2);
  conv("2->3 k3 s3 p2 d2", {2, 11, 10}, {2, 3, {3, 3}, {3, 3}, {2, 2}, {2, 2}}, 1);
  conv("3->4 k3x2 s2x1 p5x3, beyond its reach", {3, 4, 5}, {3, 4, {3, 2}, {2, 1}, {5, 3}}, 2);
  cases.push_back(
      chain("Conv2d+ReLU", {3, 6, 5}, {{"conv", Conv2d{3, 8, {3, 3}, {1, 1}, {1, 1}}}, {"relu", ReLU{}}}, 3));
}

void add_group_norms(std::vector<GradcheckCase>& cases) {
  cases.push_back(single("GroupNorm 2 of 6", {6, 3, 5}, GroupNorm{2, 6}, 3));
  cases.push_back(single("GroupNorm 3 of 3, not affine", {3, 4, 3}, GroupNorm{3, 3, 1e-5, false}, 2));
  // 18 channels fill no block of 8 or 16, as backends have them in memory, and groups of 6 lie across blocks.
  const Conv2d conv{2, 18, {3, 2}};
  cases.push_back(
      chain("Conv2d, GroupNorm 3 of 18", {2, 5, 6}, {{"conv", conv}, {"norm", GroupNorm{3, 18}}}, 2));
  cases.push_back(chain("Conv2d, GroupNorm 9 of 18, ReLU", {2, 6, 4},
                        {{"conv", conv}, {"norm", GroupNorm{9, 18}}, {"relu", ReLU{}}}, 3));
  cases.push_back(chain("Conv2d, GroupNorm of each channel", {2, 6, 5},
                        {{"conv", Conv2d{2, 16, {3, 3}}}, {"norm", GroupNorm{16, 16}}}, 2));
}

void add_poolings(std::vector<GradcheckCase>& cases) {
  cases.push_back(single("MaxPool2d k2", {3, 6, 8}, MaxPool2d{}, 2));
  cases.push_back(single("MaxPool2d k3x2 s2x1 p1", {2, 7, 5}, MaxPool2d{{3, 2}, {2, 1}, {1, 1}}, 3));
  cases.push_back(single("AvgPool2d k3 s2 p1", {3, 7, 6}, AvgPool2d{{3, 3}, {2, 2}, {1, 1}}, 2));
  cases.push_back(
      single("AvgPool2d k3x2 p1 without padding", {2, 6, 5}, AvgPool2d{{3, 2}, {2, 2}, {1, 1}, false}, 2));
  cases.push_back(single("GlobalAvgPool2d", {5, 4, 3}, GlobalAvgPool2d{}, 3));
}

void add_residuals(std::vector<GradcheckCase>& cases) {
  const Conv2d same{4, 4, {3, 3}, {1, 1}, {1, 1}};
  const Conv2d half{4, 6, {3, 3}, {2, 2}, {1, 1}};
  cases.push_back(single("Residual, identity", {4, 5, 5},
                         Residual{{{"0", same}, {"1", BatchNorm2d{4}}, {"2", ReLU{}}, {"3", same}}, {}}, 2));
  cases.push_back(single("Residual, projection", {4, 5, 6},
                         Residual{{{"0", half}, {"1", BatchNorm2d{6}}},
                                  {{"down.0", Conv2d{4, 6, {1, 1}, {2, 2}}}, {"down.1", BatchNorm2d{6}}}},
                         3));
  cases.push_back(chain(
      "Residual behind Flatten", {3, 2, 5},
      {{"flatten", Flatten{}}, {"residual", Residual{{{"fc", Linear{30, 30}}, {"relu", ReLU{}}}, {}}}}, 3));
}

}  // namespace

std::vector<GradcheckCase> gradcheck_cases() {
  std::vector<GradcheckCase> cases;
  add_convolutions(cases);
  cases.push_back(single("BatchNorm2d", {5, 3, 4}, BatchNorm2d{5}, 3));
  cases.push_back(chain("BatchNorm2d+ReLU", {19, 4, 3}, {{"norm", BatchNorm2d{19}}, {"relu", ReLU{}}}, 4));
  cases.push_back(chain("BatchNorm2d+ReLU+MaxPool2d", {18, 5, 7},
                        {{"norm", BatchNorm2d{18}}, {"relu", ReLU{}}, {"pool", MaxPool2d{}}}, 3));
  cases.push_back(chain("Conv2d, BatchNorm2d, ReLU, MaxPool2d k2x3 s3", {2, 9, 10},
                        {{"conv", Conv2d{2, 18, {3, 3}}},
                         {"norm", BatchNorm2d{18}},
                         {"relu", ReLU{}},
                         {"pool", MaxPool2d{{2, 3}, {3, 3}}}},
                        2));
  add_group_norms(cases);
  cases.push_back(single("ReLU", {3, 5, 7}, ReLU{}, 2));
  add_poolings(cases);
  cases.push_back(chain("Flatten, Linear", {3, 4, 5}, {{"flatten", Flatten{}}, {"fc", Linear{60, 7}}}, 3));
  cases.push_back(chain("Linear, no bias", {7, 1, 1},
                        {{"flatten", Flatten{}}, {"fc1", Linear{7, 9}}, {"fc2", Linear{9, 3, false}}}, 5));
  cases.push_back(single("Dropout", {3, 5, 7}, Dropout{0.3}, 2));
  add_residuals(cases);
  cases.push_back({"ConvNet", builtin_model("convnet", {1, 28, 28}, 10), 7, /*cross_entropy=*/true});
  return cases;
}

}  // namespace convoy
