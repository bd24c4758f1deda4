// Convolutions with what follows them, as one call into oneDNN.
//
// libtorch offers them as operators of its dispatcher (PyTorch's own compiler emits them) and in none
// of its C++ or C interfaces: mkldnn::_convolution_pointwise and its variants,
// https://github.com/pytorch/pytorch/blob/v2.11.0/aten/src/ATen/native/mkldnn/RegisterMkldnnOpContextClass.cpp

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <cstring>
#include <exception>
#include <optional>
#include <vector>

namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;

// As `Geometry` in fused.rs.
struct Geometry {
    int64_t stride;
    int64_t padding[2];
    int64_t groups;

    std::vector<int64_t> paddings() const { return {padding[0], padding[1]}; }
    std::vector<int64_t> strides() const { return {stride, stride}; }
    std::vector<int64_t> dilations() const { return {1, 1}; }
};

at::Tensor call(const char* name, const char* overload, torch::jit::Stack stack) {
    c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).callBoxed(&stack);
    return std::move(stack.at(0)).toTensor();
}

// What went wrong, for the caller to free; null when nothing did.
template <typename Work>
char* guarded(at::Tensor** result, Work work) {
    try {
        *result = new at::Tensor(work());
        return nullptr;
    } catch (const std::exception& error) {
        return strdup(error.what());
    } catch (...) {
        return strdup("an exception of unknown type");
    }
}

}  // namespace

extern "C" {

// The kernel in the memory order that oneDNN wants for inputs of `sizes`.
char* sweep_pack_kernel(
    at::Tensor** result, const at::Tensor* kernel, const Geometry* geometry, const int64_t* sizes) {
    return guarded(result, [&] {
        return call(
            "mkldnn::_reorder_convolution_weight", "",
            {*kernel, geometry->paddings(), geometry->strides(), geometry->dilations(),
             geometry->groups, std::vector<int64_t>(sizes, sizes + 4)});
    });
}

// A convolution, its bias and an activation: "none", "relu", or "hardtanh" between 0 and `most`.
char* sweep_convolve(
    at::Tensor** result, const at::Tensor* input, const at::Tensor* kernel, const at::Tensor* bias,
    const Geometry* geometry, const char* activation, double most) {
    return guarded(result, [&] {
        Scalars scalars;
        if (std::strcmp(activation, "hardtanh") == 0) {
            scalars.push_back(at::Scalar(0.0));
            scalars.push_back(at::Scalar(most));
        }
        return call(
            "mkldnn::_convolution_pointwise", "",
            {*input, *kernel, *bias, geometry->paddings(), geometry->strides(),
             geometry->dilations(), geometry->groups, activation, scalars, ""});
    });
}

// A convolution, its bias, the sum with `addend`, and "relu" or nothing (null). With `in_place` the
// memory of `addend` may hold the result.
char* sweep_convolve_add(
    at::Tensor** result, const at::Tensor* input, const at::Tensor* kernel, const at::Tensor* bias,
    at::Tensor* addend, bool in_place, const Geometry* geometry, const char* activation) {
    return guarded(result, [&] {
        const c10::IValue unary = activation ? c10::IValue(activation) : c10::IValue();
        const char* name =
            in_place ? "mkldnn::_convolution_pointwise_" : "mkldnn::_convolution_pointwise";
        const at::Tensor& first = in_place ? *addend : *input;
        const at::Tensor& second = in_place ? *input : *addend;
        // In place the schema reads (addend, input, kernel, ..), else (input, addend, kernel, ..).
        return call(
            name, "binary",
            {first, second, *kernel, *bias, geometry->paddings(), geometry->strides(),
             geometry->dilations(), geometry->groups, "add", at::Scalar(1.0), unary, Scalars(),
             c10::IValue()});
    });
}

}  // extern "C"
