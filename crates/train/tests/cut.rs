//! Training behind a cut with cached features is training the whole network with frozen layers: for
//! every backbone, wherever it is cut.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod plates;

use std::cell::RefCell;
use std::path::Path;

use serde_json::{Value, json};
use spec::config::{Interpolation, Pooling, Precision};
use spec::protocol::{Event, RunOrder};
use spec::record::Outcome;
use tch::{Device, Tensor};
use train::backbones::Backbone;
use train::checkpoint::Keeper;
use train::data::{Folder, Square, decode_all};
use train::features::Prefix;
use train::fit::{Samples, Training, fit};
use train::graph::{Graph, LayerIndex};
use train::head::Design;
use train::lane::Lane;
use train::link::{Halt, Link};
use train::loss::Loss;
use train::model::{Model, Start};
use train::trainer::Trainer;
use train::weights::Weights;

use plates::{order, plates};

/// The loss of each step, by way of the cut and the cache.
fn with_cut(order: &RunOrder, cache: &Path, threads: i32) -> Vec<f64> {
    losses(threads, |link| {
        let outcome = Trainer::new(Device::Cpu).unwrap().run(order, cache, link).unwrap();
        assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
    })
}

/// The loss of each step when all layers see the images in every step.
fn without_cut(order: &RunOrder, threads: i32) -> Vec<f64> {
    let config = &order.config;
    let backbone = Backbone::of(config.model.backbone);
    let weights = Weights::draw(&backbone, order.seed, Device::Cpu).unwrap();
    let folder = Folder::with_classes(&config.data.train).unwrap();
    let side = config.data.image_size;
    let square = Square { side, interpolation: Interpolation::Bilinear };
    let pixels = decode_all(&folder, square, |_| Ok::<_, Halt>(())).unwrap();
    let labels = folder.labels().unwrap();
    let lane = &Lane::all(order, &labels).unwrap()[0];
    let loss = Loss::of(2);
    let shape = [labels.len() as i64, side.into(), side.into(), 3];
    let samples = Samples {
        inputs: Tensor::from_slice(&pixels).reshape(shape),
        targets: Some(loss.targets(&labels, 0.0, Device::Cpu).unwrap()),
        weights: None,
        images: lane.split.training.clone(),
    };
    let prefix = Prefix {
        backbone: &backbone,
        cut: Graph::INPUT,
        pooling: Pooling::Gap,
        precision: Precision::Fp32,
    };
    let start = Start {
        loss,
        design: &Design::default(),
        optimizer: config.train.optimizer,
        source: lane.source,
    };
    let first_trainable = backbone.graph.first_trainable(&config.model.freeze).unwrap();
    let example = samples.inputs.narrow(0, 0, 1);
    let mut model = Model::new(prefix, first_trainable, &weights, &example, start).unwrap();
    losses(threads, |link| {
        let training = Training { samples: &samples, augmented: None };
        let mut keeper = Keeper::new(None, 1);
        fit(&mut model, training, None, lane, &mut keeper, link).unwrap();
    })
}

fn losses(threads: i32, train: impl FnOnce(&Link<'_>)) -> Vec<f64> {
    tch::set_num_threads(threads);
    let losses = RefCell::new(Vec::new());
    let emit = |event: &Event| {
        if let Event::Epoch { metrics, .. } = event {
            losses.borrow_mut().push(metrics.loss.unwrap());
        }
        Ok(())
    };
    train(&Link { emit: &emit, stopped: &|| false });
    losses.into_inner()
}

/// Two steps of a step each epoch, cut as `freeze` says, on one thread or so many; where that is.
fn compare(backbone: &str, side: u32, freeze: &Value, threads: i32) -> LayerIndex {
    let root = plates(&["a", "b"]);
    let edit = json!({
        "data": { "validation": "none", "test": null, "image_size": side },
        "model": { "backbone": backbone, "freeze": freeze },
        "train": { "epochs": 2, "steps_per_epoch": 1, "optimizer": "sgd", "learning_rate": 1e-3 },
    });
    let order = order(root.path(), 1, edit);
    let cache = root.path().join("cache");
    let cut = with_cut(&order, &cache, threads);
    assert_eq!(with_cut(&order, &cache, threads), cut, "{backbone} {freeze}: from disk");
    let uncut = without_cut(&order, threads);
    assert_eq!((cut.len(), uncut.len()), (2, 2));
    for (cut, uncut) in cut.iter().zip(&uncut) {
        assert!((cut / uncut - 1.0).abs() < 1e-5, "{backbone} {freeze}: {cut} {uncut}");
    }
    let graph = Backbone::of(order.config.model.backbone).graph;
    graph.cut(graph.first_trainable(&order.config.model.freeze).unwrap())
}

/// `from` lies within a block, before which the cut must go.
fn a_cut_changes_nothing(backbone: &str, side: u32, from: &str) {
    let last_ten = json!({ "unfreeze_last": 10 });
    let cuts = [json!("all"), last_ten, json!({ "unfreeze_from": from })]
        .map(|freeze| compare(backbone, side, &freeze, 1));
    assert!(cuts[0] > cuts[1] && cuts[1] > cuts[2] && cuts[2] > Graph::INPUT, "{cuts:?}");
}

#[test]
fn of_efficientnet_lite0() {
    a_cut_changes_nothing("efficientnet_lite0", 64, "block6d_bn");
}

#[test]
fn of_resnet18() {
    a_cut_changes_nothing("resnet18", 64, "conv4_block2_2_conv");
}

#[test]
fn of_resnet34() {
    a_cut_changes_nothing("resnet34", 64, "conv5_block1_2_conv");
}

#[test]
fn of_resnet50() {
    a_cut_changes_nothing("resnet50", 64, "conv5_block2_2_conv");
}

#[test]
fn of_resnet50_keras() {
    a_cut_changes_nothing("resnet50_keras", 64, "conv5_block2_2_conv");
}

#[test]
fn of_inception_resnet_v2() {
    a_cut_changes_nothing("inception_resnet_v2", 75, "block8_9_conv");
}

#[test]
fn on_two_threads() {
    for freeze in [json!("all"), json!({ "unfreeze_last": 10 })] {
        compare("resnet18", 64, &freeze, 2);
    }
}
