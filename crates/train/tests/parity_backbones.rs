//! The backbones against timm, the EfficientNet-Lite reference package and Keras, all filled by one
//! closed-form rule: features, logits and gradients, with normalisations as in inference and as in
//! training, and the running statistics after steps of training.
//!
//! What they gave in 64-bit numbers is recorded in `tests/parity/`, by
//! `scripts/parity/backbones_torch.py` and `scripts/parity/backbones_keras.py`. Training is compared in
//! 64-bit numbers too: on the way back through 53 normalisations over 18 numbers each, rounding is
//! amplified until PyTorch's own 32-bit gradients of ResNet50 are a few percent from its 64-bit ones.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod closed_form;

use std::collections::BTreeMap;
use std::path::Path;

use closed_form::weights::weights;
use closed_form::{Distance, Fill, Summary, fill, images};
use serde::Deserialize;
use spec::config::{self, Pooling};
use tch::{Kind, Tensor};
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
    training: Trained,
    /// Name, class and how many numbers, of Keras's networks.
    #[serde(default)]
    layers: Vec<(String, String, usize)>,
}

#[derive(Deserialize)]
struct Measured {
    pooled: Summary,
    logits: Summary,
    gradients: BTreeMap<String, Summary>,
}

#[derive(Deserialize)]
struct Trained {
    #[serde(flatten)]
    measured: Measured,
    /// Running statistics of some normalisations, by the number of steps.
    running: BTreeMap<usize, BTreeMap<String, Summary>>,
}

/// What rounding explains of 32-bit numbers.
const ROUNDING: Distance = Distance { element: 1e-3, norm: 1e-4 };

/// What rounding explains of 64-bit numbers.
const EXACT: Distance = Distance { element: 1e-6, norm: 1e-8 };

/// The recorded steps of gradient descent: images in each, and its learning rate.
const BATCH: usize = 2;
const STEPS: usize = 5;
const LEARNING_RATE: f64 = 1e-4;

const CLASSES: usize = 1000;

fn recorded(file: &str) -> Recorded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(file);
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
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
    let kernel = Tensor::from_slice(&kernel).to_kind(pooled.kind());
    let bias = Tensor::from_slice(&bias).to_kind(pooled.kind());
    let kernel = match layout {
        Layout::Torch => kernel.reshape([CLASSES as i64, features as i64]),
        Layout::Keras => kernel.reshape([features as i64, CLASSES as i64]).transpose(0, 1),
    };
    pooled.linear(&kernel, Some(&bias))
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.detach().to_kind(Kind::Double).contiguous().reshape([-1])).unwrap()
}

/// Where the recorded numbers come from.
#[derive(Clone, Copy)]
struct Reference {
    file: &'static str,
    network: &'static str,
    layout: Layout,
    /// What the names of the classifier's tensors begin with.
    classifier: &'static str,
    /// How many of the recorded steps are taken: all are where the network is small, since libtorch is
    /// slow with 64-bit convolutions.
    steps: usize,
}

/// A network to be compared, and what was found of it.
struct Case<'a> {
    reference: Reference,
    graph: &'a Graph,
    weights: Weights,
    tensors: BTreeMap<String, (TensorSpec, Tensor)>,
    /// What is nearer than this is the same.
    tolerance: Distance,
    found: Vec<String>,
}

impl<'a> Case<'a> {
    fn new(backbone: &'a Backbone, reference: Reference, kind: Kind) -> Self {
        let weights = weights(backbone, reference.layout).to_kind(kind).unwrap();
        let mut tensors = BTreeMap::new();
        for (index, layer) in backbone.graph.layers().iter().enumerate() {
            for spec in layer.tensors(reference.layout) {
                let tensor = weights.layer(index).get(spec.role).unwrap();
                let tensor = tensor.set_requires_grad(spec.role.is_parameter());
                tensors.insert(spec.name.clone(), (spec, tensor));
            }
        }
        let tolerance = if kind == Kind::Double { EXACT } else { ROUNDING };
        Self { reference, graph: &backbone.graph, weights, tensors, tolerance, found: Vec::new() }
    }

    fn compare(&mut self, what: &str, values: &[f64], expected: &Summary) {
        let (distance, tolerance) = (expected.distance(values), self.tolerance);
        // A NaN is not near either.
        if !(distance.element < tolerance.element && distance.norm < tolerance.norm) {
            self.found.push(format!("{what}: {distance:?}, where {tolerance:?} is near"));
        }
    }

    /// Pooled features, with the gradients of their mean square left in the parameters.
    fn differentiate(&self, batch: &Tensor, mode: Mode) -> Tensor {
        let graph = self.graph;
        let map = graph.forward(&self.weights, Graph::INPUT, graph.last(), batch, mode).unwrap();
        let pooled = pool(&map, Pooling::Gap).unwrap();
        pooled.square().mean(pooled.kind()).backward();
        pooled
    }

    fn pass(&mut self, batch: &Tensor, mode: Mode, expected: &Measured) {
        let pooled = self.differentiate(batch, mode);
        self.compare(&format!("{mode:?}: pooled"), &numbers(&pooled), &expected.pooled);
        let Reference { classifier, layout, .. } = self.reference;
        let logits = logits(&pooled.detach(), classifier, layout);
        self.compare(&format!("{mode:?}: logits"), &numbers(&logits), &expected.logits);
        for (name, expected) in &expected.gradients {
            let (spec, parameter) = &self.tensors[name];
            let gradient = match (spec.role, layout) {
                (Role::Kernel, Layout::Keras) => parameter.grad().permute([2, 3, 1, 0]),
                _ => parameter.grad(),
            };
            self.compare(&format!("{mode:?}: {name}"), &numbers(&gradient), expected);
        }
    }

    /// Takes the step that the gradients say, and forgets them.
    fn descend(&self) {
        let _no_grad = tch::no_grad_guard();
        for (spec, tensor) in self.tensors.values().filter(|(spec, _)| spec.role.is_parameter()) {
            let mut tensor = tensor.shallow_clone();
            assert!(tensor.grad().defined(), "{} has no gradient", spec.name);
            let step = tensor.grad() * LEARNING_RATE;
            let _ = tensor.f_sub_(&step).unwrap();
            tensor.zero_grad();
        }
    }

    fn train(&mut self, batches: &[Tensor], expected: &Trained) {
        let mode = Mode::Training { first_trainable: 0 };
        self.pass(&batches[0], mode, &expected.measured);
        for (step, batch) in (1..=self.reference.steps).zip(batches) {
            if step > 1 {
                let _ = self.differentiate(batch, mode);
            }
            self.descend();
            for (name, expected) in expected.running.get(&step).into_iter().flatten() {
                let values = numbers(&self.tensors[name].1);
                self.compare(&format!("{name} after {step} steps"), &values, expected);
            }
        }
    }
}

fn parity(backbone: config::Backbone, reference: Reference) {
    // Threads share out sums by their number, and five steps of training make much of how these round.
    tch::set_num_threads(1);
    let recorded = &recorded(reference.file).networks[reference.network];
    let backbone = Backbone::of(backbone);
    let side = recorded.side as i64;
    let input = Tensor::from_slice(&images(BATCH * STEPS, recorded.side))
        .reshape([-1, side, side, 3])
        .permute([0, 3, 1, 2]);
    let mut found = Vec::new();
    for kind in [Kind::Float, Kind::Double] {
        let batches = input.to_kind(kind).split(BATCH as i64, 0);
        let mut case = Case::new(&backbone, reference, kind);
        case.pass(&batches[0], Mode::Inference, &recorded.inference);
        found.append(&mut case.found);
        if kind == Kind::Double {
            let mut case = Case::new(&backbone, reference, kind);
            case.train(&batches, &recorded.training);
            found.append(&mut case.found);
            assert_eq!(recorded.training.running.keys().collect::<Vec<_>>(), [&1, &STEPS]);
        }
    }
    assert!(found.is_empty(), "{}:\n{}", reference.network, found.join("\n"));
}

const TORCH: Reference = Reference {
    file: "backbones_torch.json",
    network: "",
    layout: Layout::Torch,
    classifier: "fc.",
    steps: 1,
};

const KERAS: Reference = Reference {
    file: "backbones_keras.json",
    network: "",
    layout: Layout::Keras,
    classifier: "predictions/",
    steps: 1,
};

#[test]
fn efficientnet_lite0_is_the_reference_packages() {
    parity(
        config::Backbone::EfficientnetLite0,
        Reference { network: "efficientnet_lite0", classifier: "_fc.", ..TORCH },
    );
}

#[test]
fn resnet50_is_timms() {
    parity(config::Backbone::Resnet50, Reference { network: "resnet50", ..TORCH });
}

#[test]
fn resnet18_is_timms() {
    parity(config::Backbone::Resnet18, Reference { network: "resnet18", steps: STEPS, ..TORCH });
}

#[test]
fn resnet34_is_timms() {
    parity(config::Backbone::Resnet34, Reference { network: "resnet34", ..TORCH });
}

#[test]
fn resnet50_keras_is_kerass() {
    parity(
        config::Backbone::Resnet50Keras,
        Reference { network: "resnet50", steps: STEPS, ..KERAS },
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
