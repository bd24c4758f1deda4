//! Running a part of a graph.

use tch::{TchError, Tensor};

use super::{Graph, LayerIndex, Layout, Op, Role, batch_norm};
use crate::weights::{LayerWeights, Weights};

/// Whether layers that train behave as in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Normalisations use their running statistics.
    Inference,
    /// Normalisations from this layer on use the batch's statistics and update the running ones; those
    /// before it are frozen, and frozen normalisations stay in inference mode, as in Keras.
    /// <https://keras.io/getting_started/faq/#whats-the-difference-between-the-training-argument-in-call-and-the-trainable-attribute>
    Training {
        /// The first layer that trains.
        first_trainable: LayerIndex,
    },
}

impl Graph {
    /// Runs the layers behind `cut` on the output of `cut`, `[images, channels, height, width]`, and
    /// returns the feature map. Behind the last layer there is nothing to run.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn forward(
        &self,
        weights: &Weights,
        cut: LayerIndex,
        until: LayerIndex,
        input: &Tensor,
        mode: Mode,
    ) -> Result<Tensor, TchError> {
        let last_reader = self.last_readers();
        let mut alive: Vec<Option<Tensor>> = vec![];
        alive.resize_with(self.layers.len(), || None);
        alive[cut] = Some(input.shallow_clone());
        for index in cut + 1..=until {
            let layer = &self.layers[index];
            let training = match mode {
                Mode::Inference => false,
                Mode::Training { first_trainable } => index >= first_trainable,
            };
            let mut inputs = Vec::with_capacity(layer.inputs.len());
            for &from in &layer.inputs {
                let last = last_reader[from] == index;
                let tensor = if last {
                    alive[from].take()
                } else {
                    alive[from].as_ref().map(Tensor::shallow_clone)
                };
                let Some(tensor) = tensor else {
                    unreachable!(
                        "`{}` reads a layer that does not lie between cut and end",
                        layer.name
                    )
                };
                // The caller's tensor is not ours to overwrite, others still read a shared one, and
                // differentiation needs what a layer has read.
                let reusable = last && from != cut && !training && !tensor.requires_grad();
                inputs.push(Value { tensor, reusable });
            }
            let of = weights.layer(index);
            alive[index] = Some(apply(&layer.op, of, weights.layout(), inputs, training)?);
        }
        match alive.swap_remove(until) {
            Some(features) => Ok(features),
            None => unreachable!("`until` does not lie before `cut`"),
        }
    }
}

/// An input of a layer.
pub(super) struct Value {
    pub(super) tensor: Tensor,
    /// Nobody reads it again: its memory may hold the result.
    pub(super) reusable: bool,
}

/// Computes one layer.
pub(super) fn apply(
    op: &Op,
    weights: &LayerWeights,
    layout: Layout,
    inputs: Vec<Value>,
    training: bool,
) -> Result<Tensor, TchError> {
    let mut inputs = inputs.into_iter();
    let Some(Value { tensor: mut x, reusable }) = inputs.next() else {
        unreachable!("only the input layer reads nothing, and it lies before every cut")
    };
    match op {
        Op::Input => Ok(x),
        Op::Conv2d(conv) => {
            let Some(kernel) = weights.get(Role::Kernel) else {
                unreachable!("a convolution's weights were read with a kernel")
            };
            let bias = weights.get(Role::Bias);
            x.f_conv2d(kernel, bias, [conv.stride], conv.padding, [1], conv.groups)
        }
        Op::BatchNorm(norm) => batch_norm::apply(norm, weights, layout, &x, training),
        Op::Relu if reusable => x.f_relu_(),
        Op::Relu => x.f_relu(),
        Op::Relu6 if reusable => x.f_clamp_(0.0, 6.0),
        Op::Relu6 => x.f_clamp(0.0, 6.0),
        Op::Add => match inputs.next() {
            Some(other) if reusable => x.f_add_(&other.tensor),
            Some(mut other) if other.reusable => other.tensor.f_add_(&x),
            Some(other) => x.f_add(&other.tensor),
            None => unreachable!("an addition reads two layers"),
        },
        Op::AddScaled { scale } => match inputs.next() {
            Some(mut other) if other.reusable => other.tensor.f_mul_scalar_(*scale)?.f_add_(&x),
            Some(other) => x.f_add(&other.tensor.f_mul_scalar(*scale)?),
            None => unreachable!("an addition reads two layers"),
        },
        Op::Concat => {
            let mut all = vec![x];
            all.extend(inputs.map(|input| input.tensor));
            Tensor::f_cat(&all, 1)
        }
        Op::AvgPool { kernel } => x.f_avg_pool2d([*kernel], [1], [kernel / 2], false, false, None),
        Op::MaxPool { kernel, stride } => x.f_max_pool2d([*kernel], [*stride], [0], [1], false),
        Op::ZeroPad(padding) => {
            let (_, _, height, width) = x.size4()?;
            let (left, right) = padding.around(width);
            let (top, bottom) = padding.around(height);
            x.f_constant_pad_nd([left, right, top, bottom])
        }
    }
}
