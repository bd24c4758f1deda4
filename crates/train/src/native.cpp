// What libtorch offers and tch does not; native.rs says what each function is for.

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/cpu/Utils.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/headeronly/version.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;

// As `Geometry` in native.rs.
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
char* guarded(Work work) {
    try {
        work();
        return nullptr;
    } catch (const std::exception& error) {
        return strdup(error.what());
    } catch (...) {
        return strdup("an exception of unknown type");
    }
}

template <typename Work>
char* guarded(at::Tensor** result, Work work) {
    return guarded([&] { *result = new at::Tensor(work()); });
}

std::vector<at::Tensor> listed(const at::Tensor* const* tensors, size_t count) {
    std::vector<at::Tensor> list;
    list.reserve(count);
    for (size_t at = 0; at < count; ++at) list.push_back(*tensors[at]);
    return list;
}

// Whether the numbers of two tensors of one shape lie in the same order. Where there is one position the
// distance to the next says nothing.
bool are_laid_alike(const at::Tensor& one, const at::Tensor& other) {
    if (!one.sizes().equals(other.sizes())) return false;
    for (int64_t axis = 0; axis < one.dim(); ++axis) {
        if (one.size(axis) > 1 && one.stride(axis) != other.stride(axis)) return false;
    }
    return true;
}

}  // namespace

extern "C" {

// libtorch has the next three as operators of its dispatcher (PyTorch's own compiler emits them) and in
// none of its C++ or C interfaces: mkldnn::_convolution_pointwise and its variants,
// https://github.com/pytorch/pytorch/blob/v2.11.0/aten/src/ATen/native/mkldnn/RegisterMkldnnOpContextClass.cpp

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

// The derivatives by `inputs` of whatever has the derivative `by_output` by `output`, one result for each.
char* sweep_gradients(
    at::Tensor** results, const at::Tensor* output, const at::Tensor* by_output,
    const at::Tensor* const* inputs, size_t count) {
    return guarded([&] {
        auto gradients =
            torch::autograd::grad({*output}, listed(inputs, count), {*by_output});
        for (size_t at = 0; at < count; ++at) results[at] = new at::Tensor(gradients[at]);
    });
}

// A step of Adam on all `parameters`: what has the number `step`, from 1, a tensor of one 32-bit float.
char* sweep_adam(
    const at::Tensor* const* parameters, const at::Tensor* const* gradients,
    const at::Tensor* const* first, const at::Tensor* const* second, size_t count,
    const at::Tensor* step, double learning_rate, double beta_1, double beta_2, double epsilon) {
    return guarded([&] {
        const auto changed = listed(parameters, count);
        auto along = listed(gradients, count);
        const auto means = listed(first, count), squares = listed(second, count);
        // The operator goes through memory and asks for no shapes.
        for (size_t at = 0; at < count; ++at) {
            const at::Tensor& of = changed[at];
            TORCH_CHECK(
                of.is_non_overlapping_and_dense() && are_laid_alike(of, means[at]) &&
                    are_laid_alike(of, squares[at]),
                "Adam's memory of a parameter is laid in another order than the parameter");
            if (!are_laid_alike(of, along[at])) along[at] = at::empty_like(of).copy_(along[at]);
        }
        at::_fused_adam_(
            changed, along, means, squares, {}, std::vector<at::Tensor>(count, *step),
            learning_rate, beta_1, beta_2, /*weight_decay=*/0.0, epsilon, /*amsgrad=*/false,
            /*maximize=*/false);
    });
}

// `tensor` on the GPU of that number, by way of pinned memory: the host goes on while the copy is made.
// libtorch keeps the pinned memory until the copy is done.
char* sweep_send(at::Tensor** result, const at::Tensor* tensor, int64_t gpu) {
    return guarded(result, [&] {
        const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(gpu));
        return tensor->pin_memory().to(device, tensor->scalar_type(), /*non_blocking=*/true);
    });
}

// Whether GPUs may round the factors of 32-bit convolutions and matrix products to ten bits.
char* sweep_allow_tf32(bool allowed) {
    return guarded([&] {
        at::globalContext().setAllowTF32CuDNN(allowed);
        at::globalContext().setAllowTF32CuBLAS(allowed);
    });
}

bool sweep_allows_tf32() {
    return at::globalContext().allowTF32CuDNN() || at::globalContext().allowTF32CuBLAS();
}

// What decides on the CPU how numbers are rounded: the library, its kernels' instructions, oneDNN's version, and
// the instructions from which oneDNN chooses by itself; for the caller to free, null when there is no memory.
char* sweep_arithmetic() {
    try {
        std::string text = std::string("libtorch ") + TORCH_VERSION + ", " + at::get_cpu_capability() +
            ", " + at::get_mkldnn_version() + ", ";
        std::set<std::string> instructions;
        for (const auto& [name, value] : at::cpu::get_cpu_capabilities()) {
            if (value.isBool() && value.toBool()) instructions.insert(name);
        }
        for (const auto& name : instructions) text += name + " ";
        for (const char* limit : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}) {
            if (const char* set = std::getenv(limit)) text += std::string("up to ") + set + " ";
        }
        return strdup(text.c_str());
    } catch (...) {
        return nullptr;
    }
}

}  // extern "C"
