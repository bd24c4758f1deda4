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
use train::lanes::{Columns, Goal, Table, pass};
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
    /// The step from which on the learning rate is halved: there Keras's SGD and PyTorch's part.
    halved_at: Option<usize>,
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

impl Case {
    fn what(&self, convention: &str) -> String {
        let Self { optimizer, units, loss, halved_at, .. } = self;
        format!("{convention} {optimizer} {units:?} {loss}, halved at {halved_at:?}")
    }

    fn loss(&self) -> Loss {
        match self.loss.as_str() {
            "binary_crossentropy" => Loss::Binary,
            _ => Loss::Categorical { classes: self.classes as i64 },
        }
    }

    fn rate(&self, learning_rate: f64, step: usize) -> f64 {
        let is_halved = self.halved_at.is_some_and(|halved_at| step >= halved_at);
        if is_halved { learning_rate / 2.0 } else { learning_rate }
    }

    fn assert_last(&self, what: &str, name: &str, values: &[f32]) {
        let values: Vec<f64> = values.iter().map(|&value| value.into()).collect();
        let far = self.last[name].distance(&values);
        assert!(far.element < 1e-4 && far.norm < 1e-4, "{what} {name}: {far:?}");
    }
}

fn follows(case: &Case, convention: &str) {
    let (what, loss) = (case.what(convention), case.loss());
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
        optimizer.step(&mut parameters, &gradients, case.rate(learning_rate, step)).unwrap();
    }
    assert_eq!(case.losses.len(), 20);
    for (index, layer) in head.layers().iter().enumerate() {
        for (part, tensor) in [("kernel", &layer.kernel), ("bias", &layer.bias)] {
            let values = Vec::<f32>::try_from(tensor.reshape([-1])).unwrap();
            case.assert_last(&what, &format!("dense{index}/{part}"), &values);
        }
    }
}

/// The same through the kernel for heads of one layer.
fn follows_in_a_lane(case: &Case, convention: &str) {
    let (what, loss) = (case.what(convention), case.loss());
    let logits = case.units[0] as usize;
    let kernel: Vec<f32> = uniform("dense0/kernel", FEATURES * logits).map(|u| u / 2.0).collect();
    let bias: Vec<f32> = uniform("dense0/bias", logits).map(|u| u / 10.0).collect();
    let (settings, learning_rate) = optimizer(&case.optimizer, convention);
    let mut layer = [Lane(Columns::new(&kernel, &bias, settings))];
    let features: Vec<f32> = uniform("features", IMAGES * FEATURES).collect();
    let table = Table::new(&features, FEATURES);
    let goal = Goal::new(loss, case.label_smoothing);
    for (step, recorded) in case.losses.iter().enumerate() {
        let begin = (BATCH * step % IMAGES) as u32;
        layer[0].0.ask(begin..begin + BATCH as u32);
        pass(&table, &mut layer);
        let mut by_logits = Vec::new();
        layer[0].0.logits(&mut by_logits);
        let mut sum = 0.0;
        for (by_logits, image) in by_logits.chunks_exact_mut(logits).zip(begin..) {
            let label = image % case.classes as u32;
            let weight = case.class_weight.as_ref().map_or(1.0, |weights| weights[label as usize]);
            sum += f64::from(goal.derive(by_logits, label).loss * weight);
            by_logits.iter_mut().for_each(|by_logit| *by_logit *= weight / BATCH as f32);
        }
        let mean = sum / BATCH as f64;
        assert!((mean - recorded).abs() < 1e-4, "{what} step {step}: {mean} {recorded}");
        layer[0].0.follow(&by_logits, case.rate(learning_rate, step));
    }
    layer[0].0.ask([]);
    pass(&table, &mut layer);
    case.assert_last(&what, "dense0/kernel", &layer[0].0.kernel());
    case.assert_last(&what, "dense0/bias", &layer[0].0.bias());
}

struct Lane(Columns);

impl AsMut<Columns> for Lane {
    fn as_mut(&mut self) -> &mut Columns {
        &mut self.0
    }
}

/// All cases through tensors, and those of heads of one layer through the kernel, of which there are
/// `lanes`.
fn all_follow(recorded: &Recorded, convention: &str, lanes: usize) {
    recorded.cases.iter().for_each(|case| follows(case, convention));
    let one_layer = recorded.cases.iter().filter(|case| case.units.len() == 1);
    assert_eq!(one_layer.clone().count(), lanes);
    one_layer.for_each(|case| follows_in_a_lane(case, convention));
}

#[test]
fn keras_is_followed() {
    let recorded: Recorded = serde_json::from_str(include_str!("parity/keras_head.json")).unwrap();
    assert_eq!(recorded.cases.len(), 14);
    all_follow(&recorded, "keras", 12);
}

#[test]
fn pytorch_is_followed() {
    let recorded: Recorded = serde_json::from_str(include_str!("parity/torch_head.json")).unwrap();
    assert_eq!(recorded.cases.len(), 8);
    all_follow(&recorded, "torch", 8);
}
