//! Calls into libtorch that tch does not have, by way of one small file of C++.

use std::borrow::Borrow;
use std::ffi::{CStr, c_char};
use std::ptr;

use tch::{Device, TchError, Tensor};

/// Where a convolution's kernel is laid; its layout is that of the struct of the same name in
/// `native.cpp`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Distance between positions.
    pub stride: i64,
    /// Zeros above and below, and zeros left and right.
    pub padding: [i64; 2],
    /// Groups of channels that do not see each other.
    pub groups: i64,
}

/// A convolution's kernel in the memory order that oneDNN wants for inputs like `input`.
///
/// # Errors
/// What libtorch says, such as that memory ran out.
pub(crate) fn pack(
    kernel: &Tensor,
    geometry: &Geometry,
    input: &Tensor,
) -> Result<Tensor, TchError> {
    let (images, channels, height, width) = input.size4()?;
    let sizes = [images, channels, height, width];
    // SAFETY: see `taken`; the kernel lives, and there are as many sizes as are read.
    #[expect(unsafe_code, reason = "libtorch's dispatcher speaks C++")]
    unsafe {
        taken(|result| {
            sweep_pack_kernel(result, kernel.as_ptr().cast(), &raw const *geometry, sizes.as_ptr())
        })
    }
}

/// A convolution with a packed kernel, its bias, and an activation that oneDNN knows by that name:
/// `none`, `relu`, or `hardtanh` between 0 and `most`.
///
/// # Errors
/// What libtorch says, such as that memory ran out.
pub(crate) fn convolve(
    input: &Tensor,
    packed: &Tensor,
    bias: &Tensor,
    geometry: &Geometry,
    activation: &CStr,
    most: f64,
) -> Result<Tensor, TchError> {
    // SAFETY: see `taken`; the pointers are those of living tensors, which the call only reads.
    #[expect(unsafe_code, reason = "libtorch's dispatcher speaks C++")]
    unsafe {
        taken(|result| {
            sweep_convolve(
                result,
                input.as_ptr().cast(),
                packed.as_ptr().cast(),
                bias.as_ptr().cast(),
                &raw const *geometry,
                activation.as_ptr(),
                most,
            )
        })
    }
}

/// The same with an addend of the result's shape before the activation, `relu` or none. Where the addend
/// is reusable, nobody else reads it and its memory may hold the result.
///
/// # Errors
/// What libtorch says, such as that memory ran out.
pub(crate) fn convolve_add(
    input: &Tensor,
    packed: &Tensor,
    bias: &Tensor,
    (mut addend, reusable): (Tensor, bool),
    geometry: &Geometry,
    activation: Option<&CStr>,
) -> Result<Tensor, TchError> {
    // SAFETY: see `taken`; the pointers are those of living tensors, of which the call changes the
    // addend's alone, and that only when nobody else reads it.
    #[expect(unsafe_code, reason = "libtorch's dispatcher speaks C++")]
    unsafe {
        taken(|result| {
            sweep_convolve_add(
                result,
                input.as_ptr().cast(),
                packed.as_ptr().cast(),
                bias.as_ptr().cast(),
                addend.as_mut_ptr().cast(),
                reusable,
                &raw const *geometry,
                activation.map_or(ptr::null(), CStr::as_ptr),
            )
        })
    }
}

/// The derivatives by `inputs` of whatever has the derivative `by_output` by `output`, one for each. What
/// was kept for differentiating `output` is given up.
///
/// # Errors
/// What libtorch says, such as that memory ran out.
pub(crate) fn gradients(
    output: &Tensor,
    by_output: &Tensor,
    inputs: &[Tensor],
) -> Result<Vec<Tensor>, TchError> {
    let mut results = vec![ptr::null_mut(); inputs.len()];
    let inputs = pointers(inputs);
    // SAFETY: all pointers are those of living tensors, which the call reads and keeps no pointers to.
    // It writes as many results as there are inputs, or none and a message.
    #[expect(unsafe_code, reason = "libtorch's autograd speaks C++")]
    unsafe {
        checked(sweep_gradients(
            results.as_mut_ptr(),
            output.as_ptr().cast(),
            by_output.as_ptr().cast(),
            inputs.as_ptr(),
            inputs.len(),
        ))?;
        Ok(results.into_iter().map(|result| Tensor::from_ptr(result.cast())).collect())
    }
}

/// What Adam keeps of parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments<'a> {
    /// Moving means of gradients, one for each parameter and laid in memory as it is.
    pub(crate) first: &'a [&'a Tensor],
    /// Moving means of their squares, likewise.
    pub(crate) second: &'a [&'a Tensor],
}

/// The numbers of one step of Adam, as PyTorch has them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamStep<'a> {
    /// The step's number, from 1, as one 32-bit float where the parameters lie.
    pub(crate) number: &'a Tensor,
    /// Above 0.
    pub(crate) learning_rate: f64,
    /// Share of the means that a step keeps: of gradients, and of squares.
    pub(crate) betas: [f64; 2],
    /// Added to the corrected root.
    pub(crate) epsilon: f64,
}

/// Takes a step of Adam on all parameters, in one pass over memory.
///
/// # Errors
/// When moments are laid in another order than their parameter, or libtorch fails.
pub(crate) fn adam(
    parameters: &mut [Tensor],
    gradients: &[Tensor],
    moments: Moments<'_>,
    step: AdamStep<'_>,
) -> Result<(), TchError> {
    let count = parameters.len();
    if [gradients.len(), moments.first.len(), moments.second.len()] != [count; 3] {
        return Err(TchError::Shape(
            "Adam needs a gradient and moments of each parameter".to_owned(),
        ));
    }
    let (parameters, gradients) = (pointers(parameters), pointers(gradients));
    let (first, second) = (pointers(moments.first), pointers(moments.second));
    let [beta_1, beta_2] = step.betas;
    // SAFETY: there are as many pointers as the count says, all those of living tensors, of whose handles
    // the call makes copies. Their numbers it changes as every operation in place does.
    #[expect(unsafe_code, reason = "libtorch's operators speak C++")]
    unsafe {
        checked(sweep_adam(
            parameters.as_ptr(),
            gradients.as_ptr(),
            first.as_ptr(),
            second.as_ptr(),
            count,
            step.number.as_ptr().cast(),
            step.learning_rate,
            beta_1,
            beta_2,
            step.epsilon,
        ))
    }
}

/// `tensor` on `device`. A copy to a GPU goes by way of pinned memory while the host goes on; where it lies on
/// the device already, it is not copied. Meant for what lies in main memory.
///
/// # Errors
/// What libtorch says, such as that memory ran out.
pub(crate) fn send(tensor: &Tensor, device: Device) -> Result<Tensor, TchError> {
    let Device::Cuda(gpu) = device else { return tensor.f_to_device(device) };
    if tensor.device() == device {
        return Ok(tensor.shallow_clone());
    }
    // SAFETY: see `taken`; the tensor lives, and libtorch keeps what it copies from.
    #[expect(unsafe_code, reason = "tch copies by waiting")]
    unsafe {
        taken(|result| sweep_send(result, tensor.as_ptr().cast(), gpu as i64))
    }
}

/// TF32 on GPUs, until it is dropped; without it their 32-bit products are of 32-bit factors.
///
/// PyTorch allows it in convolutions unless told otherwise,
/// <https://docs.pytorch.org/docs/2.11/notes/cuda.html#tf32-on-ampere>.
#[derive(Debug)]
pub(crate) struct Tf32(());

impl Tf32 {
    pub(crate) fn begin() -> Result<Self, TchError> {
        Self::allow(true)?;
        Ok(Self(()))
    }

    /// Whether it is allowed from here on, in the whole process.
    pub(crate) fn allow(allowed: bool) -> Result<(), TchError> {
        // SAFETY: the call sets two flags; its message is ours to free.
        #[expect(unsafe_code, reason = "tch has no such flags")]
        unsafe {
            checked(sweep_allow_tf32(allowed))
        }
    }

    #[cfg(test)]
    fn is_allowed() -> bool {
        // SAFETY: the call reads two flags.
        #[expect(unsafe_code, reason = "tch has no such flags")]
        unsafe {
            sweep_allows_tf32()
        }
    }
}

impl Drop for Tf32 {
    fn drop(&mut self) {
        // What could be allowed can be forbidden.
        let _ = Self::allow(false);
    }
}

/// What decides on this CPU how numbers are rounded, such as `libtorch 2.11.0, AVX2, Intel(R) MKL-DNN v3.10.2, avx avx2
/// fma3`.
pub(crate) fn arithmetic() -> String {
    // SAFETY: the call returns null or a string from `malloc` that nobody else reads.
    #[expect(unsafe_code, reason = "tch does not tell")]
    let text = unsafe { text(sweep_arithmetic()) };
    text.unwrap_or_default()
}

fn pointers<T: Borrow<Tensor>>(of: &[T]) -> Vec<*const AtTensor> {
    of.iter().map(|tensor| tensor.borrow().as_ptr().cast()).collect()
}

/// An `at::Tensor`, which is also what tch's tensors point to.
#[repr(C)]
struct AtTensor {
    _opaque: [u8; 0],
}

#[expect(unsafe_code, reason = "libtorch speaks C++")]
// SAFETY: the signatures are those in native.cpp.
unsafe extern "C" {
    fn sweep_pack_kernel(
        result: *mut *mut AtTensor,
        kernel: *const AtTensor,
        geometry: *const Geometry,
        sizes: *const i64,
    ) -> *mut c_char;
    fn sweep_convolve(
        result: *mut *mut AtTensor,
        input: *const AtTensor,
        kernel: *const AtTensor,
        bias: *const AtTensor,
        geometry: *const Geometry,
        activation: *const c_char,
        most: f64,
    ) -> *mut c_char;
    fn sweep_convolve_add(
        result: *mut *mut AtTensor,
        input: *const AtTensor,
        kernel: *const AtTensor,
        bias: *const AtTensor,
        addend: *mut AtTensor,
        in_place: bool,
        geometry: *const Geometry,
        activation: *const c_char,
    ) -> *mut c_char;
    fn sweep_gradients(
        results: *mut *mut AtTensor,
        output: *const AtTensor,
        by_output: *const AtTensor,
        inputs: *const *const AtTensor,
        count: usize,
    ) -> *mut c_char;
    fn sweep_adam(
        parameters: *const *const AtTensor,
        gradients: *const *const AtTensor,
        first: *const *const AtTensor,
        second: *const *const AtTensor,
        count: usize,
        step: *const AtTensor,
        learning_rate: f64,
        beta_1: f64,
        beta_2: f64,
        epsilon: f64,
    ) -> *mut c_char;
    fn sweep_send(result: *mut *mut AtTensor, tensor: *const AtTensor, gpu: i64) -> *mut c_char;
    fn sweep_allow_tf32(allowed: bool) -> *mut c_char;
    #[cfg(test)]
    fn sweep_allows_tf32() -> bool;
    fn sweep_arithmetic() -> *mut c_char;
}

/// The tensor that `call` makes, or its message.
///
/// # Safety
/// `call` must either return null and leave a new tensor in its argument, or a message from `malloc`.
#[expect(unsafe_code, reason = "libtorch speaks C++")]
unsafe fn taken(call: impl FnOnce(*mut *mut AtTensor) -> *mut c_char) -> Result<Tensor, TchError> {
    let mut result = ptr::null_mut();
    let message = call(&raw mut result);
    // SAFETY: the message is from `malloc`; without one there is a tensor, and nobody else has it.
    unsafe {
        checked(message)?;
        Ok(Tensor::from_ptr(result.cast()))
    }
}

/// The error that a message tells of, if there is one.
///
/// # Safety
/// `message` must be null or a string from `malloc` that nobody else reads.
#[expect(unsafe_code, reason = "libtorch speaks C++")]
unsafe fn checked(message: *mut c_char) -> Result<(), TchError> {
    // SAFETY: the caller promises what is asked for.
    let message = unsafe { text(message) };
    message.map_or(Ok(()), |message| Err(TchError::Torch(message)))
}

/// What a string of C++ holds, if there is one.
///
/// # Safety
/// `string` must be null or from `malloc`, and nobody else may read it.
#[expect(unsafe_code, reason = "libtorch speaks C++")]
unsafe fn text(string: *mut c_char) -> Option<String> {
    if string.is_null() {
        return None;
    }
    // SAFETY: it is a string, ours to free.
    let text = unsafe { CStr::from_ptr(string).to_string_lossy().into_owned() };
    // SAFETY: as above; it is not read again.
    unsafe { libc::free(string.cast()) };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_factors_are_forbidden_but_where_they_were_asked_for() {
        Tf32::allow(false).unwrap();
        let allowed = Tf32::begin().unwrap();
        assert!(Tf32::is_allowed());
        drop(allowed);
        assert!(!Tf32::is_allowed());
    }

    #[test]
    fn what_is_sent_to_where_it_lies_is_not_copied() {
        let tensor = Tensor::from_slice(&[1f32, 2.0]);
        assert_eq!(send(&tensor, Device::Cpu).unwrap().data_ptr(), tensor.data_ptr());
    }

    #[test]
    fn the_arithmetic_names_library_instructions_and_kernels() {
        let arithmetic = arithmetic();
        assert!(arithmetic.starts_with("libtorch 2."), "{arithmetic}");
        let parts: Vec<&str> = arithmetic.split(", ").collect();
        assert_eq!(parts.len(), 4, "{arithmetic}");
        let known = fs_err::read_to_string("/proc/cpuinfo").unwrap();
        // Some names differ between the two; these do not.
        for instructions in ["avx2", "avx512_bf16", "amx_bf16"] {
            let here = |text: &str| text.split_whitespace().any(|word| word == instructions);
            assert_eq!(here(parts[3]), here(&known), "{instructions} in {arithmetic}");
        }
    }
}
