//! Whole backbones filled by the closed-form rule.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize_to_file};
use tch::Device;
use train::backbones::Backbone;
use train::graph::{Layout, Role, TensorSpec};
use train::weights::Weights;

use super::{Fill, fill};

/// The numbers of a tensor.
pub(crate) fn filled(spec: &TensorSpec) -> Vec<f32> {
    let what = match spec.role {
        Role::Kernel => Fill::Kernel { fan_in: spec.fan_in() as usize },
        Role::Scale => Fill::Scale,
        Role::RunningVariance => Fill::Variance,
        Role::Bias | Role::Shift | Role::RunningMean => Fill::Other,
    };
    fill(&spec.name, spec.count(), what)
}

/// The weights of `backbone`, through a file.
pub(crate) fn weights(backbone: &Backbone, layout: Layout) -> Weights {
    let tensors: Vec<_> = backbone
        .graph
        .layers()
        .iter()
        .flat_map(|layer| layer.tensors(layout))
        .map(|spec| {
            let bytes: Vec<u8> = filled(&spec).iter().flat_map(|x| x.to_le_bytes()).collect();
            (spec, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(spec, bytes)| {
        let shape = spec.shape.iter().map(|&size| size as usize).collect();
        (spec.name.as_str(), TensorView::new(Dtype::F32, shape, bytes).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    serialize_to_file(views, None, &path).unwrap();
    Weights::read(backbone, &path, Device::Cpu).unwrap()
}
