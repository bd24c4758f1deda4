//! A backbone as a list of layers.
//!
//! Layers are listed in the order of Keras's `base_model.layers`, so that "the last 10" means the same
//! here. Each names the tensors it needs in the weights file. Cutting anywhere, counting what trains
//! and folding normalisations are operations on this list.

mod forward;

use spec::config::Freeze;

pub use forward::Mode;

/// A backbone without its weights.
#[derive(Debug, Clone)]
pub struct Graph {
    layers: Vec<Layer>,
}

/// Position of a layer in its graph.
pub type LayerIndex = usize;

/// One entry of Keras's `base_model.layers`.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Keras's name, unique in its graph.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// The layers it reads, all before it.
    pub inputs: Vec<LayerIndex>,
}

/// What a layer computes, on tensors of shape `[images, channels, height, width]`.
#[derive(Debug, Clone)]
pub enum Op {
    /// The preprocessed image.
    Input,
    /// A convolution.
    Conv2d(Conv2d),
    /// A normalisation per channel.
    BatchNorm(BatchNorm),
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// The sum of its two inputs.
    Add,
    /// The largest of each `kernel` x `kernel` window.
    MaxPool {
        /// Side of the window.
        kernel: i64,
        /// Distance between windows.
        stride: i64,
    },
    /// A border of zeros.
    ZeroPad(Padding),
}

/// A convolution with a square kernel.
#[derive(Debug, Clone)]
pub struct Conv2d {
    /// Channels read.
    pub input: i64,
    /// Channels made.
    pub output: i64,
    /// Side of the kernel.
    pub kernel: i64,
    /// Distance between positions.
    pub stride: i64,
    /// Zeros on each side; a border that is not the same on all sides is a [`Op::ZeroPad`] of its own.
    pub padding: i64,
    /// Groups of channels that do not see each other.
    pub groups: i64,
    /// Whether there is a bias per output channel.
    pub bias: bool,
    /// What its tensors' names begin with in the weights file.
    pub tensors: String,
}

/// A batch normalisation.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    /// Channels.
    pub channels: i64,
    /// Added to the variance.
    pub epsilon: f64,
    /// Share of the running statistics kept at each training step: Keras's meaning (PyTorch's is one
    /// minus this).
    pub momentum: f64,
    /// What its tensors' names begin with in the weights file.
    pub tensors: String,
}

/// How wide a border is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// This many zeros on each side.
    Each(i64),
    /// TensorFlow's `SAME`: the output has `size / stride` positions, rounded up, and an odd zero goes
    /// to the right and bottom. <https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2>
    Same {
        /// Side of the kernel that follows.
        kernel: i64,
        /// Its stride.
        stride: i64,
    },
}

/// A tensor that a layer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the weights file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<i64>,
    /// What it is.
    pub role: Role,
}

/// What a tensor is to its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A convolution's kernel, `[output, input / groups, side, side]`.
    Kernel,
    /// A convolution's bias.
    Bias,
    /// A normalisation's factor (Keras's gamma).
    Scale,
    /// A normalisation's addend (Keras's beta).
    Shift,
    /// A normalisation's running mean: state, not a parameter.
    RunningMean,
    /// A normalisation's running variance: state, not a parameter.
    RunningVariance,
}

impl Role {
    /// Whether gradients change it.
    pub fn is_parameter(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVariance)
    }
}

impl Padding {
    /// Zeros before and after, for an axis of `size` positions.
    pub fn around(self, size: i64) -> (i64, i64) {
        match self {
            Self::Each(zeros) => (zeros, zeros),
            Self::Same { kernel, stride } => {
                let positions = (size + stride - 1) / stride;
                let zeros = ((positions - 1) * stride + kernel - size).max(0);
                (zeros / 2, zeros - zeros / 2)
            }
        }
    }
}

impl Op {
    /// The tensors it needs, in the order in which the interpreter takes them.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let tensor = |prefix: &str, suffix: &str, shape: &[i64], role| TensorSpec {
            name: format!("{prefix}.{suffix}"),
            shape: shape.to_vec(),
            role,
        };
        match self {
            Self::Conv2d(conv) => {
                let shape = [conv.output, conv.input / conv.groups, conv.kernel, conv.kernel];
                let mut tensors = vec![tensor(&conv.tensors, "weight", &shape, Role::Kernel)];
                if conv.bias {
                    tensors.push(tensor(&conv.tensors, "bias", &[conv.output], Role::Bias));
                }
                tensors
            }
            Self::BatchNorm(norm) => {
                let shape = [norm.channels];
                vec![
                    tensor(&norm.tensors, "weight", &shape, Role::Scale),
                    tensor(&norm.tensors, "bias", &shape, Role::Shift),
                    tensor(&norm.tensors, "running_mean", &shape, Role::RunningMean),
                    tensor(&norm.tensors, "running_var", &shape, Role::RunningVariance),
                ]
            }
            _ => Vec::new(),
        }
    }

    fn has_parameters(&self) -> bool {
        matches!(self, Self::Conv2d(_) | Self::BatchNorm(_))
    }
}

impl Graph {
    /// A graph of the input alone.
    pub fn new() -> Self {
        Self { layers: vec![Layer { name: "input".to_owned(), op: Op::Input, inputs: Vec::new() }] }
    }

    /// The input layer.
    pub const INPUT: LayerIndex = 0;

    /// Appends a layer that reads `inputs`, and returns its position.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: impl Into<Vec<LayerIndex>>,
    ) -> LayerIndex {
        self.layers.push(Layer { name: name.into(), op, inputs: inputs.into() });
        self.last()
    }

    /// All layers, the input first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The last layer: its output is the feature map.
    pub fn last(&self) -> LayerIndex {
        self.layers.len() - 1
    }

    /// The first layer with parameters that train, or `None` when the whole backbone is frozen.
    ///
    /// As in `base_model.layers[-n:]`, an `n` beyond the list is the whole list.
    pub fn first_trainable(&self, freeze: &Freeze) -> Option<LayerIndex> {
        let from = match freeze {
            Freeze::All => return None,
            Freeze::None => 0,
            Freeze::UnfreezeLast(count) => self.layers.len().saturating_sub(*count as usize),
        };
        (from..self.layers.len()).find(|&index| self.layers[index].op.has_parameters())
    }

    /// Where the frozen prefix ends: the last layer before `first_trainable` whose output is all that
    /// the layers behind it read. With everything frozen that is the last layer. A prefix without
    /// parameters is not worth keeping: then it is the input.
    pub fn cut(&self, first_trainable: Option<LayerIndex>) -> LayerIndex {
        let Some(first_trainable) = first_trainable else { return self.last() };
        let last_reader = self.last_readers();
        // Nothing before `index` may be read by a layer behind it.
        (0..first_trainable)
            .rev()
            .find(|&index| last_reader[..index].iter().all(|&reader| reader <= index))
            .filter(|&index| self.layers[..=index].iter().any(|layer| layer.op.has_parameters()))
            .unwrap_or(Self::INPUT)
    }

    /// For each layer the last one that reads it; itself when none does.
    fn last_readers(&self) -> Vec<LayerIndex> {
        let mut readers: Vec<_> = (0..self.layers.len()).collect();
        for (index, layer) in self.layers.iter().enumerate() {
            for &input in &layer.inputs {
                readers[input] = index;
            }
        }
        readers
    }
}

impl Default for Graph {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// input - a - b - add(a, b) - c, with parameters in a, b and c.
    fn with_shortcut() -> Graph {
        let norm = || {
            Op::BatchNorm(BatchNorm {
                channels: 1,
                epsilon: 0.0,
                momentum: 0.0,
                tensors: String::new(),
            })
        };
        let mut graph = Graph::new();
        let a = graph.push("a", norm(), [Graph::INPUT]);
        let b = graph.push("b", norm(), [a]);
        let add = graph.push("add", Op::Add, [a, b]);
        graph.push("c", norm(), [add]);
        graph
    }

    #[test]
    fn a_cut_lies_where_one_tensor_is_alive() {
        let graph = with_shortcut();
        for (freeze, first_trainable, cut) in [
            (Freeze::All, None, 4),
            (Freeze::UnfreezeLast(1), Some(4), 3),
            // `add` has no parameters: what trains is the same.
            (Freeze::UnfreezeLast(2), Some(4), 3),
            // Behind `a` only `a` is alive.
            (Freeze::UnfreezeLast(3), Some(2), 1),
            (Freeze::UnfreezeLast(4), Some(1), 0),
            (Freeze::UnfreezeLast(400), Some(1), 0),
            (Freeze::None, Some(1), 0),
        ] {
            assert_eq!(graph.first_trainable(&freeze), first_trainable, "{freeze:?}");
            assert_eq!(graph.cut(first_trainable), cut, "{freeze:?}");
        }
        // Padding alone is no prefix.
        let mut graph = Graph::new();
        let pad = graph.push("pad", Op::ZeroPad(Padding::Each(1)), [Graph::INPUT]);
        graph.push("relu", Op::Relu, [pad]);
        assert_eq!(graph.cut(Some(2)), 0);
    }

    #[test]
    fn a_shortcut_keeps_two_tensors_alive() {
        let graph = with_shortcut();
        // Were only `add` and `c` to train, `a` and `b` would both be alive before them.
        assert_eq!(graph.cut(Some(3)), 1);
    }

    #[test]
    fn same_padding_is_tensorflows() {
        for (kernel, stride, size, around) in [
            (3, 2, 224, (0, 1)),
            (3, 2, 225, (1, 1)),
            (5, 2, 56, (1, 2)),
            (5, 2, 57, (2, 2)),
            (5, 1, 7, (2, 2)),
            (1, 2, 8, (0, 0)),
        ] {
            assert_eq!(Padding::Same { kernel, stride }.around(size), around);
        }
        assert_eq!(Padding::Each(3).around(10), (3, 3));
    }
}
