//! The backbones against timm, the EfficientNet-Lite reference package and Keras, all filled by one
//! closed-form rule: features, logits and gradients, with normalisations as in inference and as in
//! training.
//!
//! What they gave is recorded in `tests/parity/`, by `scripts/parity/backbones_torch.py` and
//! `scripts/parity/backbones_keras.py`.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod closed_form;

use std::collections::BTreeMap;
use std::path::Path;

use closed_form::{Distance, Fill, Summary, fill, images};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize_to_file};
use serde::Deserialize;
use spec::config::{self, Pooling};
use tch::{Device, Kind, Tensor};
use train::backbones::Backbone;
use train::features::pool;
use train::graph::{Graph, Layout, Mode, Role, TensorSpec};
use train::weights::Weights;

#[derive(Deserialize)]
struct Recorded {
    networks: BTreeMap<String, Network>,
}

#[derive(Deserialize)]
struct Network {
    side: usize,
    inference: Measured,
    training: Measured,
    /// Name, class and how many numbers, of Keras's networks.
    #[serde(default)]
    layers: Vec<(String, String, usize)>,
}

#[derive(Deserialize)]
struct Measured {
    pooled: Summary,
    logits: Summary,
    gradients: BTreeMap<String, Summary>,
    /// Running statistics after the step, of some of PyTorch's networks.
    #[serde(default)]
    running: BTreeMap<String, Summary>,
}

/// What rounding explains.
const ROUNDING: Distance = Distance { element: 1e-3, norm: 1e-4 };

/// What rounding explains of the gradients of ResNet50 in training. Rounding is amplified on their way
/// through 53 normalisations over 18 numbers each, some of which then fall on the other side of a
/// ReLU's corner: PyTorch's own 32-bit gradients are this far from its 64-bit ones (of the last
/// block's kernels, elements by up to 4 typical ones, the whole by 0.03, the norm by 0.001).
const RESNET50_GRADIENTS: Distance = Distance { element: 0.3, norm: 3e-3 };

const CLASSES: usize = 1000;

fn recorded(file: &str) -> Recorded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(file);
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

fn filled(spec: &TensorSpec) -> Vec<f32> {
    let what = match spec.role {
        Role::Kernel => Fill::Kernel { fan_in: spec.fan_in() as usize },
        Role::Scale => Fill::Scale,
        Role::RunningVariance => Fill::Variance,
        Role::Bias | Role::Shift | Role::RunningMean => Fill::Other,
    };
    fill(&spec.name, spec.count(), what)
}

/// The weights of `backbone`, through a file.
fn weights(backbone: &Backbone, layout: Layout) -> Weights {
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

/// `[images, features]` times a classifier of 1000 classes, whose kernel is `[classes, features]` in
/// PyTorch and `[features, classes]` in Keras.
fn logits(pooled: &Tensor, classifier: &str, layout: Layout) -> Tensor {
    let features = pooled.size()[1] as usize;
    let weight = match layout {
        Layout::Torch => "weight",
        Layout::Keras => "kernel",
    };
    let fan_in = Fill::Kernel { fan_in: features };
    let kernel = fill(&format!("{classifier}{weight}"), CLASSES * features, fan_in);
    let bias = fill(&format!("{classifier}bias"), CLASSES, Fill::Other);
    let kernel = Tensor::from_slice(&kernel);
    let kernel = match layout {
        Layout::Torch => kernel.reshape([CLASSES as i64, features as i64]),
        Layout::Keras => kernel.reshape([features as i64, CLASSES as i64]).transpose(0, 1),
    };
    pooled.linear(&kernel, Some(&Tensor::from_slice(&bias)))
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.detach().contiguous().reshape([-1])).unwrap()
}

struct Case<'a> {
    backbone: &'a Backbone,
    reference: Reference,
    input: Tensor,
}

/// Where the recorded numbers come from.
#[derive(Clone, Copy)]
struct Reference {
    file: &'static str,
    network: &'static str,
    layout: Layout,
    /// What the names of the classifier's tensors begin with.
    classifier: &'static str,
    /// The share of the running statistics that a training step keeps there; here it is 0.99.
    momentum: f32,
    /// Of gradients in training.
    tolerance: Distance,
}

impl Case<'_> {
    /// What is further from the record than rounding explains.
    fn compare(&self, mode: Mode, expected: &Measured) -> Vec<String> {
        let graph = &self.backbone.graph;
        let layout = self.reference.layout;
        let weights = weights(self.backbone, layout);
        let mut parameters = BTreeMap::new();
        let mut state = BTreeMap::new();
        for (index, layer) in graph.layers().iter().enumerate() {
            for spec in layer.tensors(layout) {
                let tensor = weights.layer(index).get(spec.role).unwrap();
                if spec.role.is_parameter() {
                    parameters.insert(spec.name.clone(), (spec, tensor.set_requires_grad(true)));
                } else {
                    state.insert(spec.name.clone(), (spec, tensor));
                }
            }
        }
        let map = graph.forward(&weights, Graph::INPUT, graph.last(), &self.input, mode).unwrap();
        let pooled = pool(&map, Pooling::Gap).unwrap();
        pooled.square().mean(Kind::Float).backward();

        let mut found = Vec::new();
        let mut compare = |what: &str, values: &[f32], expected: &Summary, tolerance: Distance| {
            let distance = expected.distance(values);
            // A NaN is not near either.
            let near = distance.element < tolerance.element && distance.norm < tolerance.norm;
            if !near {
                found.push(format!("{mode:?}: {what}: {distance:?}"));
            }
        };
        compare("pooled", &numbers(&pooled), &expected.pooled, ROUNDING);
        let logits = logits(&pooled.detach(), self.reference.classifier, layout);
        compare("logits", &numbers(&logits), &expected.logits, ROUNDING);
        let tolerance = match mode {
            Mode::Inference => ROUNDING,
            Mode::Training { .. } => self.reference.tolerance,
        };
        for (name, expected) in &expected.gradients {
            let (spec, parameter) = &parameters[name];
            let gradient = match (spec.role, layout) {
                (Role::Kernel, Layout::Keras) => parameter.grad().permute([2, 3, 1, 0]),
                _ => parameter.grad(),
            };
            compare(name, &numbers(&gradient), expected, tolerance);
        }
        for (name, expected) in &expected.running {
            let Some((spec, tensor)) = state.get(name) else { continue };
            let faster = (1.0 - self.reference.momentum) / 0.01;
            let moved: Vec<_> = filled(spec)
                .iter()
                .zip(numbers(tensor))
                .map(|(start, end)| start + (end - start) * faster)
                .collect();
            compare(name, &moved, expected, ROUNDING);
        }
        found
    }
}

fn parity(backbone: config::Backbone, reference: Reference) {
    let recorded = &recorded(reference.file).networks[reference.network];
    let backbone = Backbone::of(backbone);
    let side = recorded.side;
    let input = Tensor::from_slice(&images(2, side))
        .reshape([2, side as i64, side as i64, 3])
        .permute([0, 3, 1, 2]);
    let case = Case { backbone: &backbone, reference, input };
    let mut found = case.compare(Mode::Inference, &recorded.inference);
    found.extend(case.compare(Mode::Training { first_trainable: 0 }, &recorded.training));
    assert!(found.is_empty(), "{}:\n{}", reference.network, found.join("\n"));
}

const TORCH: Reference = Reference {
    file: "backbones_torch.json",
    network: "",
    layout: Layout::Torch,
    classifier: "fc.",
    momentum: 0.9,
    tolerance: ROUNDING,
};

const KERAS: Reference = Reference {
    file: "backbones_keras.json",
    network: "",
    layout: Layout::Keras,
    classifier: "predictions/",
    momentum: 0.99,
    tolerance: ROUNDING,
};

#[test]
fn efficientnet_lite0_is_the_reference_packages() {
    parity(
        config::Backbone::EfficientnetLite0,
        Reference { network: "efficientnet_lite0", classifier: "_fc.", momentum: 0.99, ..TORCH },
    );
}

#[test]
fn resnet50_is_timms() {
    parity(
        config::Backbone::Resnet50,
        Reference { network: "resnet50", tolerance: RESNET50_GRADIENTS, ..TORCH },
    );
}

#[test]
fn resnet18_is_timms() {
    parity(config::Backbone::Resnet18, Reference { network: "resnet18", ..TORCH });
}

#[test]
fn resnet34_is_timms() {
    parity(config::Backbone::Resnet34, Reference { network: "resnet34", ..TORCH });
}

#[test]
fn resnet50_keras_is_kerass() {
    parity(
        config::Backbone::Resnet50Keras,
        Reference { network: "resnet50", tolerance: RESNET50_GRADIENTS, ..KERAS },
    );
}

#[test]
fn inception_resnet_v2_is_kerass() {
    let backbone = config::Backbone::InceptionResnetV2;
    parity(backbone, Reference { network: "inception_resnet_v2", ..KERAS });
}

#[test]
fn inception_resnet_v2_is_timms() {
    let reference = Reference { network: "inception_resnet_v2", classifier: "classif.", ..TORCH };
    parity(config::Backbone::InceptionResnetV2, reference);
}

/// Names, kinds, numbers of parameters and order.
#[test]
fn layers_are_listed_as_in_keras() {
    let recorded = recorded("backbones_keras.json");
    for (network, backbone) in [
        ("resnet50", config::Backbone::Resnet50Keras),
        ("inception_resnet_v2", config::Backbone::InceptionResnetV2),
    ] {
        let graph = Backbone::of(backbone).graph;
        let layers = graph.layers().iter().map(|layer| {
            let numbers = layer.tensors(Layout::Keras).iter().map(TensorSpec::count).sum();
            (layer.name.clone(), layer.op.kind().to_owned(), numbers)
        });
        let expected = &recorded.networks[network].layers;
        for (place, (layer, expected)) in layers.zip(expected).enumerate() {
            assert_eq!(layer, *expected, "layer {place} of {network}");
        }
        assert_eq!(graph.layers().len(), expected.len());
    }
    let graph = Backbone::of(config::Backbone::Resnet50Keras).graph;
    let ten = graph.first_trainable(&config::Freeze::UnfreezeLast(10)).unwrap();
    let from = config::Freeze::UnfreezeFrom("conv5_block3_1_conv".to_owned());
    assert_eq!(graph.first_trainable(&from).unwrap(), ten);
    assert_eq!(graph.layers()[graph.cut(ten)].name, "conv5_block2_out");
    // torchvision's ResNet50 is another network with the same list.
    let names = |backbone| -> Vec<_> {
        Backbone::of(backbone).graph.layers().iter().map(|layer| layer.name.clone()).collect()
    };
    assert_eq!(names(config::Backbone::Resnet50), names(config::Backbone::Resnet50Keras));
}
