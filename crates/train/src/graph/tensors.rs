//! The tensors of layers: what weights files call them, and in which shapes they hold them.

use super::{Layer, Op};

/// How a weights file names tensors and orders their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As PyTorch: `<module>.weight`, kernels `[output, input, height, width]`.
    Torch,
    /// As Keras: `<layer>/kernel`, kernels `[height, width, input, output]`.
    Keras,
}

/// A tensor that a layer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the weights file.
    pub name: String,
    /// Its shape in the weights file.
    pub shape: Vec<i64>,
    /// What it is.
    pub role: Role,
    /// Which kind of file that is.
    pub layout: Layout,
}

/// What a tensor is to its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A convolution's kernel.
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

impl Layout {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Torch, Self::Keras];

    /// Whose names they are, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Torch => "PyTorch",
            Self::Keras => "Keras",
        }
    }

    fn tensor(self, prefix: &str, role: Role) -> String {
        match self {
            Self::Torch => {
                let suffix = match role {
                    Role::Kernel | Role::Scale => "weight",
                    Role::Bias | Role::Shift => "bias",
                    Role::RunningMean => "running_mean",
                    Role::RunningVariance => "running_var",
                };
                format!("{prefix}.{suffix}")
            }
            Self::Keras => {
                let suffix = match role {
                    Role::Kernel => "kernel",
                    Role::Bias => "bias",
                    Role::Scale => "gamma",
                    Role::Shift => "beta",
                    Role::RunningMean => "moving_mean",
                    Role::RunningVariance => "moving_variance",
                };
                format!("{prefix}/{suffix}")
            }
        }
    }
}

impl TensorSpec {
    /// How many numbers it holds.
    pub fn count(&self) -> usize {
        self.shape.iter().product::<i64>() as usize
    }

    /// Of a kernel: how many numbers go into one output.
    pub fn fan_in(&self) -> i64 {
        match self.layout {
            Layout::Torch => self.shape.iter().skip(1).product(),
            Layout::Keras => self.shape.iter().rev().skip(1).product(),
        }
    }
}

impl Layer {
    /// The tensors that it needs of a file in that layout.
    pub fn tensors(&self, layout: Layout) -> Vec<TensorSpec> {
        let prefix = |tensors: &str| match layout {
            Layout::Torch => tensors.to_owned(),
            Layout::Keras => self.name.clone(),
        };
        let tensor = |prefix: &str, role, shape: &[i64]| TensorSpec {
            name: layout.tensor(prefix, role),
            shape: shape.to_vec(),
            role,
            layout,
        };
        match &self.op {
            Op::Conv2d(conv) => {
                let prefix = prefix(&conv.tensors);
                let (input, [height, width]) = (conv.input / conv.groups, conv.kernel);
                let shape = match layout {
                    Layout::Torch => [conv.output, input, height, width],
                    Layout::Keras => [height, width, input, conv.output],
                };
                let mut tensors = vec![tensor(&prefix, Role::Kernel, &shape)];
                if conv.bias {
                    tensors.push(tensor(&prefix, Role::Bias, &[conv.output]));
                }
                tensors
            }
            Op::BatchNorm(norm) => {
                let prefix = prefix(&norm.tensors);
                [Role::Scale, Role::Shift, Role::RunningMean, Role::RunningVariance]
                    .into_iter()
                    .filter(|role| *role != Role::Scale || norm.is_scaled(layout))
                    .map(|role| tensor(&prefix, role, &[norm.channels]))
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}
