// Operations that look at one element at a time: ReLU, add, fork.
#include <algorithm>
#include <vector>

#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"

namespace convoy::reference {
namespace {

template <typename T>
class ReluOperation final : public Operation {
 public:
  explicit ReluOperation(Bound<T> x) : x_(std::move(x)) {
    output_ = make_variable<T>(x_.shape(), x_.wants_grad());
    y_ = Bound<T>("ReLU: output", output_);
  }

  void forward(Phase) override {
    const auto x = x_.value(), y = y_.value();
    for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i] <= T{0} ? T{0} : x[i];  // NaN stays NaN
  }

  void backward() override {
    if (!x_.wants_grad()) return;
    const auto y = y_.value(), dy = y_.grad(), dx = x_.grad();
    for (std::size_t i = 0; i < dx.size(); ++i) dx[i] = y[i] <= T{0} ? T{0} : dy[i];
  }

 private:
  Bound<T> x_, y_;
};

/// The first summand's gradient is the output's own. That is safe because both have one consumer: between the
/// sum's consumer, which writes the gradient, and the summand's producer, which reads it, nobody writes
/// there.
template <typename T>
class AddOperation final : public Operation {
 public:
  AddOperation(const TensorPtr& a_grad, Bound<T> a, Bound<T> b) : a_(std::move(a)), b_(std::move(b)) {
    output_ = make_variable<T>(a_.shape(), !a_grad && b_.wants_grad());
    if (a_grad) output_.grad = a_grad;
    y_ = Bound<T>("add: output", output_);
  }

  void forward(Phase) override {
    const auto a = a_.value(), b = b_.value(), y = y_.value();
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = a[i] + b[i];
  }

  void backward() override {
    if (b_.wants_grad()) std::ranges::copy(y_.grad(), b_.grad().begin());
  }

 private:
  Bound<T> a_, b_, y_;
};

/// Both outputs are x itself: no operation writes to its inputs. Only their gradients are apart.
template <typename T>
class ForkOperation final : public Fork {
 public:
  ForkOperation(const Variable& x, Bound<T> bound) : x_(std::move(bound)) {
    output_ = second_ = {x.value, nullptr};
    if (!x_.wants_grad()) return;
    output_.grad = std::make_shared<RealTensor<T>>(x_.shape());
    second_.grad = std::make_shared<RealTensor<T>>(x_.shape());
    first_copy_ = Bound<T>("fork: first", output_);
    second_copy_ = Bound<T>("fork: second", second_);
  }

  void forward(Phase) override {}

  void backward() override {
    if (!x_.wants_grad()) return;
    const auto first = first_copy_.grad(), second = second_copy_.grad(), dx = x_.grad();
    for (std::size_t i = 0; i < dx.size(); ++i) dx[i] = first[i] + second[i];
  }

 private:
  Bound<T> x_, first_copy_, second_copy_;
};

}  // namespace

template <typename T>
OperationPtr ReferenceBackend<T>::make_relu(const Variable& x) {
  return std::make_unique<ReluOperation<T>>(Bound<T>("ReLU: input", x));
}

template <typename T>
OperationPtr ReferenceBackend<T>::make_add(const Variable& a, const Variable& b) {
  Bound<T> bound_a("add: first input", a), bound_b("add: second input", b);
  check_add(a, b);
  return std::make_unique<AddOperation<T>>(a.grad, std::move(bound_a), std::move(bound_b));
}

template <typename T>
std::unique_ptr<Fork> ReferenceBackend<T>::make_fork(const Variable& x) {
  return std::make_unique<ForkOperation<T>>(x, Bound<T>("fork: input", x));
}

template OperationPtr ReferenceBackend<float>::make_relu(const Variable&);
template OperationPtr ReferenceBackend<double>::make_relu(const Variable&);
template OperationPtr ReferenceBackend<float>::make_add(const Variable&, const Variable&);
template OperationPtr ReferenceBackend<double>::make_add(const Variable&, const Variable&);
template std::unique_ptr<Fork> ReferenceBackend<float>::make_fork(const Variable&);
template std::unique_ptr<Fork> ReferenceBackend<double>::make_fork(const Variable&);

}  // namespace convoy::reference
