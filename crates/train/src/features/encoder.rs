//! Images through the frozen prefix.

use spec::config::Precision;
use tch::{Device, Kind, TchError, Tensor};

use super::{Prefix, pool};
use crate::graph::Plan;
use crate::link::Halt;
use crate::native::Tf32;
use crate::weights::Weights;

/// Computes the output of a frozen prefix.
#[derive(Debug)]
pub struct Encoder<'a> {
    prefix: Prefix<'a>,
    plan: Plan,
    device: Device,
}

impl<'a> Encoder<'a> {
    /// Makes a prefix ready to run on `device`, where its `weights` lie.
    ///
    /// # Errors
    /// When the device cannot compute in that precision, or what libtorch says, such as that memory
    /// ran out.
    pub fn new(prefix: Prefix<'a>, weights: &Weights, device: Device) -> Result<Self, Halt> {
        let _no_grad = tch::no_grad_guard();
        let kind = match prefix.precision.resolved() {
            Precision::Auto | Precision::Fp32 => Kind::Float,
            Precision::Bf16 if !device.is_cuda() && !has_bf16() => {
                return Err(Halt::Config(
                    "precision = \"bf16\" needs a processor with AVX-512 (bw, dq and vl) or a GPU, and \
                     this one has neither: use \"fp32\""
                        .to_owned(),
                ));
            }
            Precision::Tf32 if !device.is_cuda() => {
                return Err(Halt::Config(
                    "precision = \"tf32\" is for GPUs, and this run is on the CPU: use \"fp32\""
                        .to_owned(),
                ));
            }
            Precision::Tf32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        };
        let plan = Plan::compile(&prefix.backbone.graph, weights, prefix.cut, kind)?;
        Ok(Self { prefix, plan, device })
    }

    /// The features of images `[images, side, side, 3]` from 0 to 255, shaped as [`Features::of`] has
    /// them.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn encode(&self, pixels: &Tensor) -> Result<Tensor, TchError> {
        let _no_grad = tch::no_grad_guard();
        let Prefix { backbone, pooling, precision, .. } = self.prefix;
        let _tf32 = (precision == Precision::Tf32).then(Tf32::begin).transpose()?;
        let map = self.plan.run(&backbone.preprocessing.apply(pixels, self.device)?)?;
        if self.prefix.is_pooled() { pool(&map, pooling) } else { map.f_permute([0, 2, 3, 1]) }
    }
}

/// Whether oneDNN computes in bf16 here: in the processor's own instructions for it, or in others that
/// are slower and give the same.
fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    #[cfg(not(target_arch = "x86_64"))]
    false
}
