//! The backbones as whole networks: size, shape, what they read from a weights file.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::HashMap;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize_to_file};
use spec::config;
use tch::{Device, Kind, Tensor};
use train::backbones::Backbone;
use train::graph::{Graph, Mode, Role};
use train::weights::{Weights, WeightsError};

const BOTH: [config::Backbone; 2] =
    [config::Backbone::EfficientnetLite0, config::Backbone::Resnet50];

/// Without the classifier, whose 1000 classes have one weight a feature and one bias each.
#[test]
fn parameters_are_as_many_as_in_the_reference() {
    for (backbone, with_classifier, features) in [
        (config::Backbone::EfficientnetLite0, 4_652_008, 1280),
        (config::Backbone::Resnet50, 25_557_032, 2048),
    ] {
        let parameters: i64 = Backbone::of(backbone)
            .graph
            .layers()
            .iter()
            .flat_map(|layer| layer.op.tensors())
            .filter(|tensor| tensor.role.is_parameter())
            .map(|tensor| tensor.shape.iter().product::<i64>())
            .sum();
        assert_eq!(parameters, with_classifier - 1000 * (features + 1), "{}", backbone.name());
    }
}

#[test]
fn feature_maps_are_a_32nd_of_the_image() {
    tch::set_num_threads(1);
    for (backbone, features) in BOTH.into_iter().zip([1280, 2048]) {
        let network = Backbone::of(backbone);
        let weights = Weights::draw(&network, 1, Device::Cpu).unwrap();
        for (side, positions) in [(64, 2), (75, 3)] {
            let pixels = Tensor::zeros([2, side, side, 3], (Kind::Uint8, Device::Cpu));
            let input = network.preprocessing.apply(&pixels, Device::Cpu).unwrap();
            let graph = &network.graph;
            let map = graph
                .forward(&weights, Graph::INPUT, graph.last(), &input, Mode::Inference)
                .unwrap();
            assert_eq!(map.size(), [2, features, positions, positions], "{}", backbone.name());
        }
    }
}

/// A file with the tensors of a backbone, all ones; `edit` changes names, shapes and values.
fn file_with(
    network: &Backbone,
    edit: impl FnOnce(&mut HashMap<String, (Vec<usize>, Vec<f32>)>),
) -> Result<Weights, WeightsError> {
    let mut tensors = HashMap::new();
    for spec in network.graph.layers().iter().flat_map(|layer| layer.op.tensors()) {
        let shape: Vec<usize> = spec.shape.iter().map(|&size| size as usize).collect();
        let count = shape.iter().product();
        tensors.insert(spec.name, (shape, vec![1f32; count]));
    }
    edit(&mut tensors);
    let bytes: Vec<_> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (name, shape.clone(), bytes)
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    serialize_to_file(views, None, &path).unwrap();
    Weights::read(network, &path, Device::Cpu)
}

#[test]
fn a_weights_file_holds_the_backbone_and_nothing_else() {
    let network = Backbone::of(config::Backbone::EfficientnetLite0);
    // The classifier and PyTorch's counters may be there.
    file_with(&network, |tensors| {
        tensors.insert("_fc.weight".to_owned(), (vec![1], vec![0.0]));
        tensors.insert("_bn0.num_batches_tracked".to_owned(), (vec![1], vec![0.0]));
    })
    .unwrap();

    let error = file_with(&network, |tensors| {
        tensors.remove("_bn0.running_var");
        tensors.insert("_conv_stem.weight".to_owned(), (vec![1], vec![0.0]));
        tensors.insert("_blocks.16.oddity".to_owned(), (vec![1], vec![0.0]));
        tensors.get_mut("_bn1.bias").unwrap().1[7] = f32::NAN;
    })
    .unwrap_err()
    .to_string();
    for part in [
        "weights.safetensors does not hold the weights of this backbone",
        "_bn0.running_var is missing",
        "_conv_stem.weight has shape [1], where [32, 3, 3, 3] is expected",
        "_blocks.16.oddity belongs to no layer",
        "_bn1.bias holds NaN at position 7",
    ] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }

    // The other backbone's file: a long list is cut.
    let resnet = Backbone::of(config::Backbone::Resnet50);
    let error = file_with(&resnet, |tensors| tensors.clear()).unwrap_err().to_string();
    assert!(error.contains("conv1.weight is missing") && error.contains("and 253 more"), "{error}");
}

#[test]
fn drawn_weights_hang_on_the_seed() {
    let network = Backbone::of(config::Backbone::EfficientnetLite0);
    let kernel = |seed| {
        let weights = Weights::draw(&network, seed, Device::Cpu).unwrap();
        let stem =
            network.graph.layers().iter().position(|layer| layer.name == "stem_conv").unwrap();
        assert_eq!(network.graph.layers()[stem].op.tensors()[0].role, Role::Kernel);
        weights.layer(stem)[0].copy()
    };
    assert_eq!(kernel(1), kernel(1));
    assert_ne!(kernel(1), kernel(2));
    // He et al.: variance 2 / (inputs x positions), here 2 / (3 x 9).
    let spread = kernel(1).square().mean(Kind::Float).double_value(&[]);
    assert!((spread * 13.5 - 1.0).abs() < 0.2, "{spread}");
}
