//! Twenty steps of head training beside those that Keras and PyTorch recorded.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod closed_form;

use closed_form::{Summary, uniform};
use serde::Deserialize;
use serde_json::json;
use spec::config::Optimizer as Settings;
use std::collections::BTreeMap;
use tch::{Device, Tensor};
use train::head::{Dense, Head};
use train::loss::Loss;
use train::optimizer::Optimizer;
use train::random::{Purpose, stream};

const IMAGES: usize = 40;
const FEATURES: usize = 12;
const BATCH: usize = 8;

#[derive(Deserialize)]
struct Recorded {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    optimizer: String,
    classes: usize,
    units: Vec<i64>,
    loss: String,
    label_smoothing: f64,
    class_weight: Option<Vec<f32>>,
    losses: Vec<f64>,
    #[serde(rename = "final")]
    last: BTreeMap<String, Summary>,
}

/// Settings and learning rate of an optimiser as the scripts call it.
fn optimizer(called: &str, convention: &str) -> (Settings, f64) {
    let (name, rest) = called.split_once(' ').unwrap_or((called, ""));
    let mut written = json!({ "name": name, "convention": convention });
    if !rest.is_empty() {
        written["momentum"] = json!(0.9);
        written["nesterov"] = json!(rest == "nesterov");
    }
    let learning_rate = if name == "sgd" { 0.1 } else { 0.01 };
    (serde_json::from_value(written).unwrap(), learning_rate)
}

fn follows(case: &Case, convention: &str) {
    let what = format!("{convention} {} {:?} {}", case.optimizer, case.units, case.loss);
    let binary = case.loss == "binary_crossentropy";
    let loss = match binary {
        true => Loss::Binary,
        false => Loss::Categorical { classes: case.classes as i64 },
    };
    let mut inputs = FEATURES as i64;
    let mut layers = Vec::new();
    for (index, &units) in case.units.iter().enumerate() {
        let filled = |part: &str, count: i64, by: f32| {
            let name = format!("dense{index}/{part}");
            Tensor::from_slice(&uniform(&name, count as usize).map(|u| u / by).collect::<Vec<_>>())
        };
        let kernel = filled("kernel", inputs * units, 2.0).reshape([inputs, units]);
        layers.push(Dense { kernel, bias: filled("bias", units, 10.0) });
        inputs = units;
    }
    let mut head = Head::of(layers, stream(1, Purpose::Dropout));
    let mut parameters: Vec<_> = head.parameters().map(Tensor::shallow_clone).collect();
    let (settings, learning_rate) = optimizer(&case.optimizer, convention);
    let mut optimizer = Optimizer::new(settings, &parameters).unwrap();

    let features: Vec<f32> = uniform("features", IMAGES * FEATURES).collect();
    let features = Tensor::from_slice(&features).reshape([IMAGES as i64, FEATURES as i64]);
    let labels: Vec<u32> = (0..IMAGES).map(|image| (image % case.classes) as u32).collect();
    let targets = loss.targets(&labels, case.label_smoothing, Device::Cpu).unwrap();
    let weights = case.class_weight.as_ref().map(|weights| {
        let of_images: Vec<f32> = labels.iter().map(|label| weights[*label as usize]).collect();
        Tensor::from_slice(&of_images).reshape([-1, 1])
    });
    for (step, recorded) in case.losses.iter().enumerate() {
        let batch = |of: &Tensor| of.narrow(0, (BATCH * step % IMAGES) as i64, BATCH as i64);
        let (targets, weights) = (batch(&targets), weights.as_ref().map(batch));
        let trace = head.train(&batch(&features)).unwrap();
        let sum = loss.sum(&trace.logits, &targets, weights.as_ref()).unwrap();
        let mean = sum.double_value(&[]) / BATCH as f64;
        assert!((mean - recorded).abs() < 1e-4, "{what} step {step}: {mean} {recorded}");
        let by_logits = loss.by_logits(&trace.logits, &targets, weights.as_ref()).unwrap();
        let gradients = head.gradients(&trace, &by_logits).unwrap();
        optimizer.step(&mut parameters, &gradients, learning_rate).unwrap();
    }
    assert_eq!(case.losses.len(), 20);
    for (index, layer) in head.layers().iter().enumerate() {
        for (part, tensor) in [("kernel", &layer.kernel), ("bias", &layer.bias)] {
            let values = Vec::<f32>::try_from(tensor.reshape([-1])).unwrap();
            let far = case.last[&format!("dense{index}/{part}")].distance(&values);
            assert!(far.element < 1e-4 && far.norm < 1e-4, "{what} {index} {part}: {far:?}");
        }
    }
}

#[test]
fn keras_is_followed() {
    let recorded: Recorded = serde_json::from_str(include_str!("parity/keras_head.json")).unwrap();
    assert_eq!(recorded.cases.len(), 12);
    recorded.cases.iter().for_each(|case| follows(case, "keras"));
}

#[test]
fn pytorch_is_followed() {
    let recorded: Recorded = serde_json::from_str(include_str!("parity/torch_head.json")).unwrap();
    assert_eq!(recorded.cases.len(), 6);
    recorded.cases.iter().for_each(|case| follows(case, "torch"));
}
