//! What a run trains: the layers behind the cut, the pooling and the head.

use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, TchError, Tensor};

use crate::adam::Adam;
use crate::features::{Prefix, pool};
use crate::graph::{LayerIndex, Mode};
use crate::head::{Head, Loss};
use crate::weights::Weights;

/// Kernel and bias, the last of a model's parameters.
const HEAD_PARAMETERS: usize = 2;

/// Everything behind the cut.
#[derive(Debug)]
pub struct Model<'a> {
    suffix: Suffix<'a>,
    head: Head,
    /// What gradients change: the backbone's parameters in the order of its layers, then the head's.
    parameters: Vec<Tensor>,
    optimizer: Adam,
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
        loss: Loss,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, TchError> {
        let layers = prefix.backbone.graph.layers();
        let first = first_trainable.unwrap_or(layers.len());
        let suffix = Suffix { prefix, first_trainable, weights: weights.with_own_copy(first)? };
        let features = {
            let _no_grad = tch::no_grad_guard();
            suffix.features(inputs, Mode::Inference)?
        };
        let mut parameters = Vec::new();
        for (index, layer) in layers.iter().enumerate().skip(first) {
            for (spec, tensor) in layer.op.tensors().iter().zip(suffix.weights.layer(index)) {
                if spec.role.is_parameter() {
                    parameters.push(tensor.f_set_requires_grad(true)?);
                }
            }
        }
        let head = Head::draw(rng, features.size()[1], loss.logits(), features.device())?;
        parameters.extend([head.kernel.shallow_clone(), head.bias.shallow_clone()]);
        let optimizer = Adam::new(&parameters)?;
        Ok(Self { suffix, head, parameters, optimizer, loss })
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.head.bias.device()
    }

    /// Takes a training step on a batch and returns its logits.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn step(
        &mut self,
        inputs: &Tensor,
        targets: &Tensor,
        learning_rate: f64,
    ) -> Result<Tensor, TchError> {
        let (mode, trains_backbone) = match self.suffix.first_trainable {
            Some(first_trainable) => (Mode::Training { first_trainable }, true),
            None => (Mode::Inference, false),
        };
        let tracked = self.suffix.features(inputs, mode)?;
        let features = tracked.f_detach()?;
        let logits = self.head.logits(&features)?;
        let by_logits = self.loss.by_logits(&logits, targets)?;
        let mut gradients = if trains_backbone {
            self.backbone_gradients(&tracked, &self.head.by_features(&by_logits)?)?
        } else {
            Vec::new()
        };
        gradients.extend(self.head.gradients(&features, &by_logits)?);
        let _no_grad = tch::no_grad_guard();
        self.optimizer.step(&mut self.parameters, &gradients, learning_rate)?;
        Ok(logits)
    }

    /// The loss's derivatives by the backbone's parameters, given that by the features: the sum of
    /// features times derivative, the latter held constant, has the loss's gradient.
    fn backbone_gradients(
        &self,
        features: &Tensor,
        by_features: &Tensor,
    ) -> Result<Vec<Tensor>, TchError> {
        let parameters = &self.parameters[..self.parameters.len() - HEAD_PARAMETERS];
        let sum = features.f_mul(by_features)?.f_sum(Kind::Float)?;
        Tensor::f_run_backward(&[sum], parameters, false, false)
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

    /// Parameters and running statistics that training changes.
    fn state(&self) -> impl Iterator<Item = &Tensor> {
        let layers = self.suffix.prefix.backbone.graph.layers().len();
        (self.suffix.first_trainable.unwrap_or(layers)..layers)
            .flat_map(|index| self.suffix.weights.layer(index))
            .chain([&self.head.kernel, &self.head.bias])
    }
}

impl Suffix<'_> {
    /// The head's input for a batch: of pixels `[images, height, width, 3]` when nothing is frozen, of
    /// features as [`crate::features::Features::of`] gives them else.
    fn features(&self, inputs: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        let Prefix { backbone, cut, pooling } = self.prefix;
        if self.prefix.is_pooled() {
            return Ok(inputs.shallow_clone());
        }
        let input = if self.prefix.is_empty() {
            backbone.preprocessing.apply(inputs, self.weights.device())?
        } else {
            inputs.f_permute([0, 3, 1, 2])?
        };
        let graph = &backbone.graph;
        pool(&graph.forward(&self.weights, cut, graph.last(), &input, mode)?, pooling)
    }
}
