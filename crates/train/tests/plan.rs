//! Frozen prefixes as they are run, against the same layers one by one.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod closed_form;

use closed_form::images;
use closed_form::weights::weights;
use spec::config;
use tch::{Kind, Tensor};
use train::backbones::Backbone;
use train::graph::{Graph, Layout, Mode, Op, Plan, Step};
use train::weights::Weights;

const BACKBONES: [(config::Backbone, Layout, usize); 7] = [
    (config::Backbone::EfficientnetLite0, Layout::Torch, 75),
    (config::Backbone::Resnet18, Layout::Torch, 64),
    (config::Backbone::Resnet34, Layout::Torch, 75),
    (config::Backbone::Resnet50, Layout::Torch, 75),
    (config::Backbone::Resnet50Keras, Layout::Keras, 64),
    (config::Backbone::InceptionResnetV2, Layout::Keras, 107),
    (config::Backbone::InceptionResnetV2, Layout::Torch, 107),
];

fn input(side: usize) -> Tensor {
    let images = Tensor::from_slice(&images(2, side));
    images.reshape([2, side as i64, side as i64, 3]).permute([0, 3, 1, 2])
}

/// The size of the difference as a share of the size of what is expected.
fn error(got: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(got.size(), expected.size());
    assert_eq!(got.kind(), Kind::Float);
    ((got - expected).norm() / expected.norm()).double_value(&[])
}

/// Every cut there is, or of the larger backbones one behind each kind of layer, near the end, and one
/// behind the last.
fn cuts(graph: &Graph, every: bool) -> Vec<usize> {
    let mut cuts = vec![graph.last()];
    let is_cut = |index: usize| graph.cut(Some(index + 1)) == index;
    if every {
        cuts.extend((1..graph.last()).filter(|&index| is_cut(index)));
        return cuts;
    }
    let mut kinds = Vec::new();
    for index in (1..graph.last()).rev().filter(|&index| is_cut(index)) {
        let kind = graph.layers()[index].op.kind();
        if !kinds.contains(&kind) {
            kinds.push(kind);
            cuts.push(index);
        }
    }
    cuts
}

fn one_by_one(graph: &Graph, weights: &Weights, cut: usize, input: &Tensor) -> Tensor {
    graph.forward(weights, Graph::INPUT, cut, input, Mode::Inference).unwrap()
}

#[test]
fn a_plan_gives_what_the_layers_give_one_by_one() {
    let _no_grad = tch::no_grad_guard();
    tch::set_num_threads(1);
    for (backbone, layout, side) in BACKBONES {
        let name = backbone.name();
        let backbone = Backbone::of(backbone);
        let (graph, weights) = (&backbone.graph, weights(&backbone, layout));
        let input = input(side);
        let every = ["efficientnet_lite0", "resnet18"].contains(&name);
        for cut in cuts(graph, every) {
            let plan = Plan::compile(graph, &weights, cut, Kind::Float).unwrap();
            let expected = one_by_one(graph, &weights, cut, &input);
            let before = input.copy();
            let distance = error(&plan.run(&input).unwrap(), &expected);
            // A NaN is not near either.
            let near = distance < 1e-4;
            assert!(near, "{name} up to {}: {distance}", graph.layers()[cut].name);
            assert_eq!(input, before, "the input is the caller's");
            // The kernels were packed for two images.
            let one = plan.run(&input.narrow(0, 1, 1)).unwrap();
            let distance = error(&one, &expected.narrow(0, 1, 1));
            let near = distance < 1e-4;
            assert!(near, "one image of {name} up to {}: {distance}", graph.layers()[cut].name);
        }
    }
}

/// bf16 has eight bits: each layer rounds by up to 0.4 %.
#[test]
fn sixteen_bits_stay_near() {
    let _no_grad = tch::no_grad_guard();
    tch::set_num_threads(1);
    for (backbone, layout, side) in BACKBONES {
        let name = backbone.name();
        let backbone = Backbone::of(backbone);
        let (graph, weights) = (&backbone.graph, weights(&backbone, layout));
        let input = input(side);
        let plan = Plan::compile(graph, &weights, graph.last(), Kind::BFloat16).unwrap();
        let got = plan.run(&input).unwrap();
        let expected = one_by_one(graph, &weights, graph.last(), &input);
        let cosine = (&got * &expected).sum(Kind::Double).double_value(&[])
            / (got.norm() * expected.norm()).double_value(&[]);
        let error = error(&got, &expected);
        // Its blocks end in sums that no activation follows, and depthwise kernels have nine weights.
        let most = if name == "efficientnet_lite0" { 0.1 } else { 0.02 };
        let near = error < most && cosine > 0.995;
        assert!(near, "{name}: relative error {error}, cosine {cosine}");
    }
}

/// What a plan leaves to run by itself, and how many convolutions take how much with them.
#[test]
fn convolutions_take_what_follows_them() {
    for (backbone, convolutions, additions, activations, others) in [
        (config::Backbone::EfficientnetLite0, 49, 9, 33, 5),
        (config::Backbone::Resnet18, 20, 8, 17, 2),
        (config::Backbone::Resnet50, 53, 16, 49, 2),
        (config::Backbone::InceptionResnetV2, 244, 40, 243, 48),
    ] {
        let graph = Backbone::of(backbone).graph;
        let steps = graph.fuse(graph.last());
        let fused: Vec<_> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Convolution(fusion) => Some(fusion),
                Step::Layer(_) => None,
            })
            .collect();
        let found = (
            fused.len(),
            fused.iter().filter(|fusion| fusion.addend.is_some()).count(),
            fused
                .iter()
                .filter(|fusion| fusion.activation != train::graph::Activation::Linear)
                .count(),
            steps.len() - fused.len(),
        );
        let expected = (convolutions, additions, activations, others);
        assert_eq!(found, expected, "{}", backbone.name());
        for step in &steps {
            if let Step::Layer(index) = step {
                let op = &graph.layers()[*index].op;
                let left = matches!(
                    op,
                    Op::Concat | Op::MaxPool { .. } | Op::AvgPool { .. } | Op::ZeroPad(_)
                );
                assert!(left, "{op:?} of {}", backbone.name());
            }
        }
    }
}
