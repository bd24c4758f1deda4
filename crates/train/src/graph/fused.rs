//! Convolutions with what follows them, as one pass over memory.

use std::cell::OnceCell;
use std::ffi::{CStr, c_char};
use std::ptr;

use tch::{Kind, TchError, Tensor};

use super::fold::Folded;

/// What a convolution's sums go through last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// Where a convolution's kernel is laid; its layout is that of the struct of the same name in
/// `fused.cpp`.
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

/// A convolution with a bias, an addend where it has one, and an activation.
#[derive(Debug)]
pub(super) struct FusedConvolution {
    geometry: Geometry,
    activation: Activation,
    kernel: Tensor,
    /// The kernel in oneDNN's order, which it chooses when it first sees an input.
    packed: OnceCell<Tensor>,
    bias: Tensor,
}

/// What is added to a convolution's sums.
#[derive(Debug)]
pub(super) struct Addend {
    /// Of the result's shape.
    pub(super) tensor: Tensor,
    /// Nobody reads it again: its memory may hold the result.
    pub(super) reusable: bool,
}

impl FusedConvolution {
    /// A convolution that computes in `kind`.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub(super) fn new(
        geometry: Geometry,
        activation: Activation,
        folded: &Folded,
        kind: Kind,
    ) -> Result<Self, TchError> {
        Ok(Self {
            geometry,
            activation,
            kernel: folded.kernel.f_to_kind(kind)?,
            packed: OnceCell::new(),
            bias: folded.bias.f_to_kind(kind)?,
        })
    }

    /// `activation(kernel * input + bias + addend)`.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub(super) fn apply(&self, input: &Tensor, addend: Option<Addend>) -> Result<Tensor, TchError> {
        if input.device().is_cuda() {
            return self.apply_unfused(input, addend);
        }
        let packed = match self.packed.get() {
            Some(packed) => packed,
            None => {
                let packed = pack(&self.kernel, &self.geometry, input)?;
                self.packed.get_or_init(|| packed)
            }
        };
        match addend {
            None => self.convolve(packed, input),
            Some(addend) => self.convolve_add(packed, input, addend),
        }
    }

    /// The same where oneDNN is not to be had, one operation after the other.
    fn apply_unfused(&self, input: &Tensor, addend: Option<Addend>) -> Result<Tensor, TchError> {
        let Geometry { stride, padding, groups } = self.geometry;
        let bias = Some(&self.bias);
        let mut sum = input.f_conv2d(&self.kernel, bias, [stride], padding, [1], groups)?;
        if let Some(addend) = addend {
            sum = sum.f_add_(&addend.tensor)?;
        }
        match self.activation {
            Activation::Linear => Ok(sum),
            Activation::Relu => sum.f_relu_(),
            Activation::Relu6 => sum.f_clamp_(0.0, 6.0),
        }
    }

    fn convolve(&self, packed: &Tensor, input: &Tensor) -> Result<Tensor, TchError> {
        let activation = match self.activation {
            Activation::Linear => c"none",
            Activation::Relu => c"relu",
            Activation::Relu6 => c"hardtanh",
        };
        // SAFETY: see `taken`; the pointers are those of living tensors, which the call only reads.
        #[expect(unsafe_code, reason = "libtorch's dispatcher speaks C++")]
        unsafe {
            taken(|result| {
                sweep_convolve(
                    result,
                    input.as_ptr().cast(),
                    packed.as_ptr().cast(),
                    self.bias.as_ptr().cast(),
                    &raw const self.geometry,
                    activation.as_ptr(),
                    6.0,
                )
            })
        }
    }

    fn convolve_add(
        &self,
        packed: &Tensor,
        input: &Tensor,
        addend: Addend,
    ) -> Result<Tensor, TchError> {
        let activation = match self.activation {
            Activation::Linear => ptr::null(),
            Activation::Relu => c"relu".as_ptr(),
            Activation::Relu6 => unreachable!("no ReLU6 is fused with an addition"),
        };
        let Addend { mut tensor, reusable } = addend;
        // SAFETY: see `taken`; the pointers are those of living tensors, of which the call changes the
        // addend's alone, and that only when nobody else reads it.
        #[expect(unsafe_code, reason = "libtorch's dispatcher speaks C++")]
        unsafe {
            taken(|result| {
                sweep_convolve_add(
                    result,
                    input.as_ptr().cast(),
                    packed.as_ptr().cast(),
                    self.bias.as_ptr().cast(),
                    tensor.as_mut_ptr().cast(),
                    reusable,
                    &raw const self.geometry,
                    activation,
                )
            })
        }
    }
}

fn pack(kernel: &Tensor, geometry: &Geometry, input: &Tensor) -> Result<Tensor, TchError> {
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

/// An `at::Tensor`, which is also what tch's tensors point to.
#[repr(C)]
struct AtTensor {
    _opaque: [u8; 0],
}

#[expect(unsafe_code, reason = "libtorch's dispatcher speaks C++")]
// SAFETY: the signatures are those in fused.cpp.
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
}

/// The tensor that `call` makes, or its message.
///
/// # Safety
/// `call` must either return null and leave a new tensor in its argument, or a message from `malloc`.
#[expect(unsafe_code, reason = "libtorch's dispatcher speaks C++")]
unsafe fn taken(call: impl FnOnce(*mut *mut AtTensor) -> *mut c_char) -> Result<Tensor, TchError> {
    let mut result = ptr::null_mut();
    let message = call(&raw mut result);
    if message.is_null() {
        // SAFETY: without a message there is a tensor, and nobody else has it.
        return Ok(unsafe { Tensor::from_ptr(result.cast()) });
    }
    // SAFETY: a message is a string from `malloc`, ours to free.
    let text = unsafe { CStr::from_ptr(message).to_string_lossy().into_owned() };
    // SAFETY: as above; it is not read again.
    unsafe { libc::free(message.cast()) };
    Err(TchError::Torch(text))
}
