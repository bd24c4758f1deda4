//! The backbones as whole networks: size, shape, what they read from a weights file.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::HashMap;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize_to_file};
use spec::config;
use tch::{Device, Kind, Tensor};
use train::backbones::Backbone;
use train::graph::{Graph, Layout, Mode, Role};
use train::weights::{Weights, WeightsError};

/// Parameters, without those of the classifier's 1000 classes, and features.
const SIZES: [(config::Backbone, i64, i64); 6] = [
    (config::Backbone::EfficientnetLite0, 4_652_008 - 1000 * 1281, 1280),
    (config::Backbone::Resnet18, 11_689_512 - 1000 * 513, 512),
    (config::Backbone::Resnet34, 21_797_672 - 1000 * 513, 512),
    (config::Backbone::Resnet50, 25_557_032 - 1000 * 2049, 2048),
    (config::Backbone::Resnet50Keras, 23_534_592, 2048),
    (config::Backbone::InceptionResnetV2, 54_276_192, 1536),
];

fn parameters(network: &Backbone, layout: Layout) -> i64 {
    let tensors = network.graph.layers().iter().flat_map(|layer| layer.tensors(layout));
    tensors.filter(|tensor| tensor.role.is_parameter()).map(|tensor| tensor.count() as i64).sum()
}

#[test]
fn parameters_are_as_many_as_in_the_reference() {
    for (backbone, expected, _) in SIZES {
        let network = Backbone::of(backbone);
        let layout = network.files.layouts[0];
        assert_eq!(parameters(&network, layout), expected, "{}", backbone.name());
    }
    // timm's has the classifier, and normalisations with a factor.
    let network = Backbone::of(config::Backbone::InceptionResnetV2);
    assert_eq!(parameters(&network, Layout::Torch), 55_843_464 - 1000 * 1537);
}

#[test]
fn feature_maps_are_a_32nd_of_the_image() {
    tch::set_num_threads(1);
    for (backbone, _, features) in SIZES {
        let network = Backbone::of(backbone);
        let weights = Weights::draw(&network, 1, Device::Cpu).unwrap();
        // Without borders the last rows of an Inception network's images come to nothing.
        let sides = match backbone {
            config::Backbone::InceptionResnetV2 => [(75, 1), (107, 2)],
            _ => [(64, 2), (75, 3)],
        };
        for (side, positions) in sides {
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
    layout: Layout,
    edit: impl FnOnce(&mut HashMap<String, (Vec<usize>, Vec<f32>)>),
) -> Result<Weights, WeightsError> {
    let mut tensors = HashMap::new();
    for spec in network.graph.layers().iter().flat_map(|layer| layer.tensors(layout)) {
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
fn weights_are_those_that_the_run_was_planned_with() {
    let network = Backbone::of(config::Backbone::EfficientnetLite0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    fs_err::write(&path, "planned").unwrap();
    let planned = blake3::hash(b"planned").to_hex();
    let read =
        || Weights::read_planned(&network, &path, &planned, Device::Cpu).unwrap_err().to_string();
    assert!(read().contains("is no intact safetensors file"), "{}", read());
    fs_err::write(&path, "swapped").unwrap();
    assert!(read().contains("has changed since the run was planned"), "{}", read());
}

#[test]
fn a_weights_file_holds_the_backbone_and_nothing_else() {
    let network = Backbone::of(config::Backbone::EfficientnetLite0);
    // The classifier and PyTorch's counters may be there.
    file_with(&network, Layout::Torch, |tensors| {
        tensors.insert("_fc.weight".to_owned(), (vec![1], vec![0.0]));
        tensors.insert("_bn0.num_batches_tracked".to_owned(), (vec![1], vec![0.0]));
    })
    .unwrap();

    let error = file_with(&network, Layout::Torch, |tensors| {
        tensors.remove("_bn0.running_var");
        tensors.insert("_conv_stem.weight".to_owned(), (vec![1], vec![0.0]));
        tensors.insert("_blocks.16.oddity".to_owned(), (vec![1], vec![0.0]));
        tensors.get_mut("_bn1.bias").unwrap().1[7] = f32::NAN;
    })
    .unwrap_err()
    .to_string();
    for part in [
        "weights.safetensors does not hold the weights of this backbone, with PyTorch's names:",
        "_bn0.running_var is missing",
        "_conv_stem.weight has shape [1], where [32, 3, 3, 3] is expected",
        "_blocks.16.oddity belongs to no layer",
        "_bn1.bias holds NaN at position 7",
    ] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }

    // The other backbone's file: a long list is cut.
    let resnet = Backbone::of(config::Backbone::Resnet50);
    let error =
        file_with(&resnet, Layout::Torch, |tensors| tensors.clear()).unwrap_err().to_string();
    assert!(error.contains("conv1.weight is missing") && error.contains("and 253 more"), "{error}");
}

#[test]
fn names_tell_the_layout_of_a_file() {
    let network = Backbone::of(config::Backbone::InceptionResnetV2);
    for layout in network.files.layouts {
        let weights = file_with(&network, *layout, |_| {}).unwrap();
        let norm = network.graph.layers().iter().position(|layer| layer.name == "conv_7b_bn");
        let scale = weights.layer(norm.unwrap()).get(Role::Scale);
        assert_eq!(scale.is_some(), *layout == Layout::Torch);
    }
    // What is wrong is told in the file's own words; in Keras's network there is no such tensor.
    let error = file_with(&network, Layout::Keras, |tensors| {
        tensors.remove("conv_7b/kernel");
        tensors.insert("conv_7b_bn/gamma".to_owned(), (vec![1536], vec![1.0; 1536]));
        tensors.insert("predictions/bias".to_owned(), (vec![1], vec![0.0]));
    });
    let error = error.unwrap_err().to_string();
    for part in
        ["with Keras's names:", "conv_7b/kernel is missing", "conv_7b_bn/gamma belongs to no layer"]
    {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(!error.contains("predictions"), "{error}");

    // A kernel in PyTorch's order is not one in Keras's, whatever it is called.
    let network = Backbone::of(config::Backbone::Resnet50Keras);
    let error = file_with(&network, Layout::Keras, |tensors| {
        tensors.get_mut("conv1_conv/kernel").unwrap().0 = vec![64, 3, 7, 7];
    });
    let error = error.unwrap_err().to_string();
    let problem = "conv1_conv/kernel has shape [64, 3, 7, 7], where [7, 7, 3, 64] is expected";
    assert!(error.contains(problem), "{error}");
}

#[test]
fn drawn_weights_hang_on_the_seed() {
    let network = Backbone::of(config::Backbone::EfficientnetLite0);
    let kernel = |seed| {
        let weights = Weights::draw(&network, seed, Device::Cpu).unwrap();
        let stem =
            network.graph.layers().iter().position(|layer| layer.name == "stem_conv").unwrap();
        weights.layer(stem).get(Role::Kernel).unwrap().copy()
    };
    assert_eq!(kernel(1), kernel(1));
    assert_ne!(kernel(1), kernel(2));
    // He et al.: variance 2 / (inputs x positions), here 2 / (3 x 9).
    let spread = kernel(1).square().mean(Kind::Float).double_value(&[]);
    assert!((spread * 13.5 - 1.0).abs() < 0.2, "{spread}");
}
