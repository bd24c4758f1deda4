//! What a run trains: the layers behind the cut, the pooling and the head.

use serde::{Deserialize, Serialize};
use spec::config::Pooling;
use tch::{Device, TchError, Tensor};

use crate::features::{Prefix, pool};
use crate::graph::{LayerIndex, Mode};
use crate::head::{Design, Head};
use crate::loss::Loss;
use crate::native;
use crate::optimizer::Optimizer;
use crate::random::{Purpose, Source};
use crate::weights::Weights;

/// How the trained part of a model begins and what changes it.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Activation and loss.
    pub loss: Loss,
    /// The head's layers.
    pub design: &'a Design,
    /// How gradients become steps.
    pub optimizer: spec::config::Optimizer,
    /// What the head's initial kernels and its dropout hang on.
    pub source: Source,
}

/// Everything behind the cut.
#[derive(Debug)]
pub struct Model<'a> {
    suffix: Suffix<'a>,
    head: Head,
    /// What gradients change: the backbone's parameters in the order of its layers, then the head's.
    parameters: Vec<Tensor>,
    optimizer: Optimizer,
    /// Activation and loss.
    pub loss: Loss,
}

/// The backbone's layers behind the cut, and the pooling.
#[derive(Debug)]
struct Suffix<'a> {
    prefix: Prefix<'a>,
    first_trainable: Option<LayerIndex>,
    weights: Weights,
}

/// The weights of a model at one moment.
#[derive(Debug)]
pub struct Snapshot(Vec<Tensor>);

impl Snapshot {
    /// Of weights in the order of [`Model::weights`].
    pub fn of(weights: Vec<Tensor>) -> Self {
        Self(weights)
    }

    /// The weights, in that order.
    pub fn tensors(&self) -> &[Tensor] {
        &self.0
    }
}

/// What a model's next steps depend on besides its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Steps that the optimiser has taken.
    pub steps: i32,
    /// How far the stream of random numbers is that dropout draws from.
    pub drawn: u128,
}

impl<'a> Model<'a> {
    /// A model before its first step: `weights` as loaded, and a fresh head. `inputs` are some of what
    /// it will read: they tell how many features the head has.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn new(
        prefix: Prefix<'a>,
        first_trainable: Option<LayerIndex>,
        weights: &Weights,
        inputs: &Tensor,
        start: Start<'_>,
    ) -> Result<Self, TchError> {
        let Start { loss, design, optimizer, source } = start;
        let layers = prefix.backbone.graph.layers();
        let first = first_trainable.unwrap_or(layers.len());
        let suffix = Suffix { prefix, first_trainable, weights: weights.with_own_copy(first)? };
        let features = {
            let _no_grad = tch::no_grad_guard();
            suffix.features(inputs, Mode::Inference)?
        };
        let mut parameters = Vec::new();
        for index in first..layers.len() {
            for parameter in suffix.weights.layer(index).parameters() {
                parameters.push(parameter.f_set_requires_grad(true)?);
            }
        }
        let head = Head::draw(
            design,
            [features.size()[1], loss.logits()],
            &mut source.stream(Purpose::Head),
            source.stream(Purpose::Dropout),
            features.device(),
        )?;
        parameters.extend(head.parameters().map(Tensor::shallow_clone));
        let optimizer = Optimizer::new(optimizer, &parameters)?;
        Ok(Self { suffix, head, parameters, optimizer, loss })
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.head.layers()[0].bias.device()
    }

    /// Takes a training step on a batch and returns its logits. `weights`, `[images, 1]`, say how much
    /// each image counts.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn step(
        &mut self,
        inputs: &Tensor,
        targets: &Tensor,
        weights: Option<&Tensor>,
        learning_rate: f64,
    ) -> Result<Tensor, TchError> {
        let (mode, trains_backbone) = match self.suffix.first_trainable {
            Some(first_trainable) => (Mode::Training { first_trainable }, true),
            None => (Mode::Inference, false),
        };
        let map = self.suffix.map(inputs, mode)?;
        let features = self.suffix.pooled(&map)?;
        let trace = self.head.train(&features.f_detach()?)?;
        let by_logits = self.loss.by_logits(&trace.logits, targets, weights)?;
        let mut gradients = if trains_backbone {
            self.backbone_gradients(&map, &features, &self.head.by_features(&trace, &by_logits)?)?
        } else {
            Vec::new()
        };
        gradients.extend(self.head.gradients(&trace, &by_logits)?);
        let _no_grad = tch::no_grad_guard();
        self.optimizer.step(&mut self.parameters, &gradients, learning_rate)?;
        Ok(trace.logits)
    }

    /// The loss's derivatives by the backbone's parameters, given that by the features.
    fn backbone_gradients(
        &self,
        map: &Tensor,
        features: &Tensor,
        by_features: &Tensor,
    ) -> Result<Vec<Tensor>, TchError> {
        let parameters = &self.parameters[..self.parameters.len() - self.head.parameters().count()];
        if self.suffix.prefix.pooling != Pooling::Gap {
            return native::gradients(features, by_features, parameters);
        }
        // Every position gets the same. Differentiation would hand on one number for all of them, which
        // the layers before read as if it lay in another order than the map: ten times as slowly.
        let (_, _, height, width) = map.size4()?;
        let each = by_features.f_div_scalar(height * width)?.f_unsqueeze(-1)?.f_unsqueeze(-1)?;
        let mut by_map = map.f_detach()?.f_empty_like()?;
        by_map.f_copy_(&each)?;
        native::gradients(map, &by_map, parameters)
    }

    /// The logits of a batch, as the trained model gives them.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn logits(&self, inputs: &Tensor) -> Result<Tensor, TchError> {
        let _no_grad = tch::no_grad_guard();
        self.head.logits(&self.suffix.features(inputs, Mode::Inference)?)
    }

    /// A copy of all weights that training changes.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn snapshot(&self) -> Result<Snapshot, TchError> {
        let _no_grad = tch::no_grad_guard();
        self.state().map(Tensor::f_detach_copy).collect::<Result<_, _>>().map(Snapshot)
    }

    /// Goes back to the weights of `snapshot`.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), TchError> {
        let _no_grad = tch::no_grad_guard();
        self.state().zip(&snapshot.0).try_for_each(|(tensor, kept)| {
            // Another handle of the same memory.
            tensor.shallow_clone().f_copy_(kept)
        })
    }

    /// Handles of all weights that training changes.
    pub fn weights(&self) -> Vec<Tensor> {
        self.state().map(Tensor::shallow_clone).collect()
    }

    /// Handles of all tensors that the next steps depend on: the weights, then the optimiser's memory.
    pub fn tensors(&self) -> Vec<Tensor> {
        self.state().chain(self.optimizer.memory()).map(Tensor::shallow_clone).collect()
    }

    /// What the next steps depend on besides.
    pub fn counters(&self) -> Counters {
        Counters { steps: self.optimizer.steps(), drawn: self.head.drawn() }
    }

    /// Goes on from where a model like this one had these tensors, in the order of [`Self::tensors`].
    ///
    /// # Errors
    /// What libtorch says, such as that shapes differ.
    pub fn resume(&mut self, tensors: &[Tensor], counters: Counters) -> Result<(), TchError> {
        let _no_grad = tch::no_grad_guard();
        for (mut own, kept) in self.tensors().into_iter().zip(tensors) {
            own.f_copy_(kept)?;
        }
        self.optimizer.set_steps(counters.steps)?;
        self.head.set_drawn(counters.drawn);
        Ok(())
    }

    /// Parameters and running statistics that training changes.
    fn state(&self) -> impl Iterator<Item = &Tensor> {
        let layers = self.suffix.prefix.backbone.graph.layers().len();
        (self.suffix.first_trainable.unwrap_or(layers)..layers)
            .flat_map(|index| self.suffix.weights.layer(index).iter())
            .map(|(_, tensor)| tensor)
            .chain(self.head.parameters())
    }
}

impl Suffix<'_> {
    /// The head's input for a batch: of pixels `[images, height, width, 3]` when nothing is frozen, of
    /// features as [`crate::features::Features::of`] gives them else.
    fn features(&self, inputs: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        self.pooled(&self.map(inputs, mode)?)
    }

    /// The feature map `[images, channels, height, width]` of such a batch; where pooling belongs to the
    /// prefix, the batch itself.
    fn map(&self, inputs: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        let Prefix { backbone, cut, .. } = self.prefix;
        if self.prefix.is_pooled() {
            return Ok(inputs.shallow_clone());
        }
        let input = if self.prefix.is_empty() {
            backbone.preprocessing.apply(inputs, self.weights.device())?
        } else {
            inputs.f_permute([0, 3, 1, 2])?
        };
        let graph = &backbone.graph;
        graph.forward(&self.weights, cut, graph.last(), &input, mode)
    }

    /// The head's input, given what [`Self::map`] gives.
    fn pooled(&self, map: &Tensor) -> Result<Tensor, TchError> {
        match self.prefix.is_pooled() {
            true => Ok(map.shallow_clone()),
            false => pool(map, self.prefix.pooling),
        }
    }
}

#[cfg(test)]
mod tests {
    use spec::config::{Freeze, Precision};
    use tch::Kind;

    use super::*;
    use crate::backbones::{Backbone, Files};
    use crate::graph::{BatchNorm, Conv2d, Graph, Layout, Op};
    use crate::preprocess::Preprocessing;
    use crate::random;

    /// Two blocks of convolution, normalisation and ReLU, the second with a shortcut around it.
    fn backbone() -> Backbone {
        let mut graph = Graph::new();
        let block = |graph: &mut Graph, from, input, name: &str| {
            let (output, kernel, tensors) = (4, 3, name.to_owned());
            let conv = Conv2d {
                input,
                output,
                kernel: [kernel; 2],
                stride: 1,
                padding: [1; 2],
                groups: 1,
                bias: true,
                tensors,
            };
            let x = graph.push(format!("{name}_conv"), Op::Conv2d(conv), [from]);
            let tensors = format!("{name}_norm");
            let norm = BatchNorm {
                channels: 4,
                epsilon: 1e-3,
                torch_momentum: 0.9,
                keras_scale: true,
                tensors,
            };
            graph.push(format!("{name}_bn"), Op::BatchNorm(norm), [x])
        };
        let x = block(&mut graph, Graph::INPUT, 3, "first");
        let first = graph.push("first_relu", Op::Relu, [x]);
        let x = block(&mut graph, first, 4, "second");
        let x = graph.push("second_add", Op::Add, [first, x]);
        graph.push("second_out", Op::Relu, [x]);
        let files = Files { layouts: &[Layout::Torch], classifiers: &["fc."] };
        Backbone { graph, files, preprocessing: Preprocessing::LITE }
    }

    struct Setting {
        backbone: Backbone,
        weights: Weights,
        pixels: Tensor,
        targets: Tensor,
    }

    fn setting() -> Setting {
        let backbone = backbone();
        let weights = Weights::draw(&backbone, 1, Device::Cpu).unwrap();
        let noise = random::uniform(&mut random::stream(1, Purpose::Shuffle), 127.0, 6 * 5 * 5 * 3);
        let pixels =
            (Tensor::from_slice(&noise) + 128.0).to_kind(Kind::Uint8).reshape([6, 5, 5, 3]);
        let targets = Loss::Binary.targets(&[0, 1, 0, 1, 1, 0], 0.0, Device::Cpu).unwrap();
        Setting { backbone, weights, pixels, targets }
    }

    fn model<'a>(setting: &'a Setting, freeze: &Freeze, pooling: Pooling) -> Model<'a> {
        let first_trainable = setting.backbone.graph.first_trainable(freeze).unwrap();
        let prefix = Prefix {
            backbone: &setting.backbone,
            cut: Graph::INPUT,
            pooling,
            precision: Precision::Fp32,
        };
        let start = Start {
            loss: Loss::Binary,
            design: &Design::default(),
            optimizer: spec::config::Optimizer::default(),
            source: Source { seed: 1, fold: None },
        };
        let (weights, pixels) = (&setting.weights, &setting.pixels);
        Model::new(prefix, first_trainable, weights, pixels, start).unwrap()
    }

    #[test]
    fn gradients_reach_the_backbone_as_differentiation_has_them() {
        for pooling in [Pooling::Gap, Pooling::Gmp, Pooling::Flatten] {
            let setting = setting();
            let mut model = model(&setting, &Freeze::None, pooling);
            let mode = Mode::Training { first_trainable: 1 };
            let loss = |features: &Tensor| {
                let logits = model.head.logits(features).unwrap();
                model.loss.sum(&logits, &setting.targets, None).unwrap() / 6.0
            };
            let features = model.suffix.features(&setting.pixels, mode).unwrap();
            let parameters = &model.parameters[..model.parameters.len() - 2];
            let expected = Tensor::run_backward(&[loss(&features)], parameters, false, false);

            let map = model.suffix.map(&setting.pixels, mode).unwrap();
            let features = model.suffix.pooled(&map).unwrap();
            let trace = model.head.train(&features.detach()).unwrap();
            let by_logits = model.loss.by_logits(&trace.logits, &setting.targets, None).unwrap();
            let by_features = model.head.by_features(&trace, &by_logits).unwrap();
            let gradients = model.backbone_gradients(&map, &features, &by_features).unwrap();
            assert_eq!(gradients.len(), 8);
            for (gradient, expected) in gradients.iter().zip(&expected) {
                assert!(gradient.allclose(expected, 1e-4, 1e-6, false), "{pooling:?}");
            }
            assert!(gradients[0].abs().max().double_value(&[]) > 1e-4, "they are not all zero");
        }
    }

    #[test]
    fn a_step_changes_what_trains_and_nothing_else() {
        // Of seven layers the last four: from `second_conv` on.
        let [first_conv, first_bn, second_conv, second_bn] = [1, 2, 4, 5];
        for (freeze, trains) in [
            (Freeze::All, [false; 4]),
            (Freeze::UnfreezeLast(4), [false, false, true, true]),
            (Freeze::UnfreezeLast(3), [false, false, false, true]),
            (Freeze::UnfreezeFrom("second_conv".to_owned()), [false, false, true, true]),
            (Freeze::None, [true; 4]),
        ] {
            let setting = setting();
            let mut model = model(&setting, &freeze, Pooling::Gap);
            let before = model.snapshot().unwrap();
            let kernel = model.head.layers()[0].kernel.copy();
            let _ = model.step(&setting.pixels, &setting.targets, None, 0.1).unwrap();
            for (layer, trains) in [first_conv, first_bn, second_conv, second_bn].iter().zip(trains)
            {
                let loaded = setting.weights.layer(*layer);
                for (tensor, loaded) in model.suffix.weights.layer(*layer).iter().zip(loaded.iter())
                {
                    assert_eq!(tensor != loaded, trains, "{freeze:?} {layer}");
                }
            }
            assert_ne!(model.head.layers()[0].kernel, kernel);
            model.restore(&before).unwrap();
            for (layer, tensors) in [first_conv, first_bn, second_conv, second_bn]
                .map(|layer| (layer, setting.weights.layer(layer)))
            {
                assert_eq!(model.suffix.weights.layer(layer), tensors, "{freeze:?} {layer}");
            }
            assert_eq!(model.head.layers()[0].kernel, kernel);
        }
    }
}
