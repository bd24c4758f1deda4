//! The kernel for many heads beside the tensors that it replaces.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use spec::config::Optimizer as Settings;
use tch::{Device, Tensor};
use train::batches::Batches;
use train::head::{Dense, Head};
use train::lanes::{Columns, Goal, Table, pass};
use train::loss::Loss;
use train::optimizer::Optimizer;
use train::random::{Purpose, normal, stream};

/// A layer and the batches that train it.
#[derive(Debug, Clone)]
struct Case {
    features: usize,
    images: usize,
    batch: usize,
    loss: Loss,
    smoothing: f64,
    optimizer: Settings,
    seed: u64,
}

fn optimizers() -> impl Strategy<Value = Settings> {
    let written = [
        json!("adam"),
        json!({ "name": "adam", "convention": "torch" }),
        json!("adamw"),
        json!("sgd"),
        json!({ "name": "sgd", "momentum": 0.9 }),
        json!({ "name": "sgd", "momentum": 0.9, "nesterov": true, "convention": "torch" }),
        json!({ "name": "sgd", "momentum": 0.8, "nesterov": true }),
        json!("rmsprop"),
        json!({ "name": "rmsprop", "convention": "torch" }),
    ];
    proptest::sample::select(written.to_vec())
        .prop_map(|written| serde_json::from_value(written).unwrap())
}

fn losses() -> impl Strategy<Value = Loss> {
    prop_oneof![Just(Loss::Binary), (2i64..5).prop_map(|classes| Loss::Categorical { classes })]
}

prop_compose! {
    fn cases(features: impl Strategy<Value = usize>, images: impl Strategy<Value = usize>)(
        features in features,
        images in images,
        batch in 1usize..40,
        loss in losses(),
        smoothing in prop_oneof![Just(0.0), 0.0..0.5],
        optimizer in optimizers(),
        seed: u64,
    ) -> Case {
        Case { features, images, batch, loss, smoothing, optimizer, seed }
    }
}

const RATE: f64 = 1e-3;

impl Case {
    /// Features of the images; of no case in particular.
    fn features(features: usize, images: usize) -> Vec<f32> {
        normal(&mut stream(7, Purpose::Backbone), 1.0, features * images)
    }

    fn rng(&self, purpose: Purpose) -> ChaCha8Rng {
        stream(self.seed, purpose)
    }

    fn logits(&self) -> usize {
        self.loss.logits() as usize
    }

    /// Kernel and bias at the start.
    fn parameters(&self) -> (Vec<f32>, Vec<f32>) {
        let mut rng = self.rng(Purpose::Head);
        let kernel = normal(&mut rng, 0.05, self.features * self.logits());
        (kernel, normal(&mut rng, 0.1, self.logits()))
    }

    fn label(&self, image: usize) -> u32 {
        image as u32 % self.loss.logits().max(2) as u32
    }

    fn batches(&self) -> Batches {
        Batches::new(self.images, self.batch, self.rng(Purpose::Shuffle))
    }
}

/// A layer with its batches, as a lane has them.
struct Training {
    case: Case,
    batches: Batches,
    columns: Columns,
}

impl AsMut<Columns> for Training {
    fn as_mut(&mut self) -> &mut Columns {
        &mut self.columns
    }
}

impl Training {
    fn begin(case: &Case) -> Self {
        let (kernel, bias) = case.parameters();
        let mut columns = Columns::new(&kernel, &bias, case.optimizer);
        let mut batches = case.batches();
        columns.ask(batches.next_batch().iter().map(|image| *image as u32));
        Self { case: case.clone(), batches, columns }
    }

    /// Follows the batch asked for and asks for the next.
    fn step(&mut self) {
        let mut logits = Vec::new();
        self.columns.logits(&mut logits);
        let goal = Goal::new(self.case.loss, self.case.smoothing);
        let images = self.columns.asked().to_vec();
        for (logits, image) in logits.chunks_exact_mut(self.case.logits()).zip(&images) {
            let _ = goal.derive(logits, self.case.label(*image as usize));
            logits.iter_mut().for_each(|by_logit| *by_logit /= images.len() as f32);
        }
        self.columns.follow(&logits, RATE);
        self.columns.ask(self.batches.next_batch().iter().map(|image| *image as u32));
    }
}

/// Kernel and bias after `steps` steps of tensors.
fn by_tensors(case: &Case, features: &[f32], steps: usize) -> (Vec<f32>, Vec<f32>) {
    let (kernel, bias) = case.parameters();
    let logits = case.loss.logits();
    let kernel = Tensor::from_slice(&kernel).reshape([-1, logits]);
    let layer = Dense { kernel, bias: Tensor::from_slice(&bias) };
    let mut head = Head::of(vec![layer], case.rng(Purpose::Dropout));
    let mut parameters: Vec<_> = head.parameters().map(Tensor::shallow_clone).collect();
    let mut optimizer = Optimizer::new(case.optimizer, &parameters).unwrap();
    let features = Tensor::from_slice(features).reshape([-1, case.features as i64]);
    let labels: Vec<u32> = (0..case.images).map(|image| case.label(image)).collect();
    let targets = case.loss.targets(&labels, case.smoothing, Device::Cpu).unwrap();
    let mut batches = case.batches();
    for _ in 0..steps {
        let batch = Tensor::from_slice(batches.next_batch());
        let trace = head.train(&features.index_select(0, &batch)).unwrap();
        let targets = targets.index_select(0, &batch);
        let by_logits = case.loss.by_logits(&trace.logits, &targets, None).unwrap();
        let gradients = head.gradients(&trace, &by_logits).unwrap();
        optimizer.step(&mut parameters, &gradients, RATE).unwrap();
    }
    let [kernel, bias] = [&parameters[0], &parameters[1]]
        .map(|tensor| Vec::<f32>::try_from(tensor.reshape([-1])).unwrap());
    (kernel, bias)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn steps_are_those_of_tensors(case in cases(1usize..300, 1usize..40)) {
        tch::set_num_threads(1);
        let features = Case::features(case.features, case.images);
        let table = Table::new(&features, case.features);
        let mut training = [Training::begin(&case)];
        pass(&table, &mut training);
        for _ in 0..6 {
            training[0].step();
            pass(&table, &mut training);
        }
        let (kernel, bias) = by_tensors(&case, &features, 6);
        let columns = &training[0].columns;
        for (ours, theirs) in [(columns.kernel(), kernel), (columns.bias(), bias)] {
            prop_assert_eq!(ours.len(), theirs.len());
            // Adaptive optimisers divide by the size of gradients: where that is all but nothing, rounding
            // moves a number by up to a step.
            let apart = ours.iter().zip(&theirs).map(|(ours, theirs)| (ours - theirs).abs());
            prop_assert!(apart.clone().all(|apart| apart < RATE as f32));
            let far = apart.filter(|apart| *apart >= 1e-5).count();
            prop_assert!(far <= 1 + ours.len() / 100, "{} of {} are apart", far, ours.len());
        }
    }

    #[test]
    fn company_changes_no_bit(
        lanes in proptest::collection::vec((cases(Just(200), Just(30)), 1usize..12), 2..6),
    ) {
        let table = Table::new(&Case::features(200, 30), 200);
        let alone = |case: &Case, steps: usize| {
            let mut training = [Training::begin(case)];
            pass(&table, &mut training);
            for _ in 0..steps {
                training[0].step();
                pass(&table, &mut training);
            }
            let [training] = training;
            training.columns.snapshot()
        };
        let mut together: Vec<_> =
            lanes.iter().map(|(case, steps)| (Training::begin(case), *steps)).collect();
        let mut ended = Vec::new();
        let mut block: Vec<Training> = Vec::new();
        let mut left: Vec<usize> = Vec::new();
        // They join one after the other, and leave when their steps are done.
        while !together.is_empty() || !block.is_empty() {
            block.iter_mut().for_each(Training::step);
            left.iter_mut().for_each(|left| *left -= 1);
            if let Some((training, steps)) = together.pop() {
                block.push(training);
                left.push(steps);
            }
            pass(&table, &mut block);
            while let Some(done) = left.iter().position(|left| *left == 0) {
                let training = block.remove(done);
                left.remove(done);
                ended.push((training.case.seed, training.columns.snapshot()));
            }
        }
        for (case, steps) in &lanes {
            let (_, snapshot) = ended.iter().find(|(seed, _)| *seed == case.seed).unwrap();
            prop_assert_eq!(&alone(case, *steps), snapshot);
        }
    }
}

#[test]
fn long_sums_stay_exact() {
    // As many features as InceptionResNetV2 at 299 pixels gives without pooling, all of one sign.
    let (features, images) = (98_304, 3);
    let numbers: Vec<f32> = normal(&mut stream(1, Purpose::Head), 1.0, features * images)
        .iter()
        .map(|x| x.abs())
        .collect();
    let kernel: Vec<f32> =
        normal(&mut stream(2, Purpose::Head), 1.0, features).iter().map(|x| x.abs()).collect();
    let columns = Columns::new(&kernel, &[0.0], Settings::default());
    let logits = columns.measure(&Table::new(&numbers, features), &[0, 1, 2]);
    for (row, logit) in numbers.chunks_exact(features).zip(logits) {
        let exact: f64 = row.iter().zip(&kernel).map(|(x, k)| f64::from(*x) * f64::from(*k)).sum();
        let error = (f64::from(logit) / exact - 1.0).abs();
        assert!(error < 3e-6, "{error:e}");
    }
}
