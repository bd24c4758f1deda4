//! How large the outputs of layers are.

use super::{Graph, Op};

/// Height, width and channels of a layer's output, as Keras gives them.
pub type Shape = [i64; 3];

impl Graph {
    /// The output shape of every layer for images of `side` pixels.
    pub fn shapes(&self, side: i64) -> Vec<Shape> {
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let inputs: Vec<Shape> = layer.inputs.iter().map(|&input| shapes[input]).collect();
            shapes.push(shape(&layer.op, &inputs, side));
        }
        shapes
    }
}

fn shape(op: &Op, inputs: &[Shape], side: i64) -> Shape {
    // Only the input layer reads nothing, and its output is the image.
    let [height, width, channels] = inputs.first().copied().unwrap_or([side, side, 3]);
    let windows = |size: i64, padding: i64, kernel: i64, stride: i64| {
        (size + 2 * padding - kernel) / stride + 1
    };
    match op {
        Op::Input | Op::BatchNorm(_) | Op::Relu | Op::Relu6 | Op::Add | Op::AddScaled { .. } => {
            [height, width, channels]
        }
        // With zeros around it a window of stride 1 keeps the size.
        Op::AvgPool { .. } => [height, width, channels],
        Op::Conv2d(conv) => [
            windows(height, conv.padding[0], conv.kernel[0], conv.stride),
            windows(width, conv.padding[1], conv.kernel[1], conv.stride),
            conv.output,
        ],
        Op::MaxPool { kernel, stride } => {
            [windows(height, 0, *kernel, *stride), windows(width, 0, *kernel, *stride), channels]
        }
        Op::Concat => [height, width, inputs.iter().map(|[.., channels]| channels).sum()],
        Op::ZeroPad(padding) => {
            let padded = |size| {
                let (before, after) = padding.around(size);
                before + size + after
            };
            [padded(height), padded(width), channels]
        }
    }
}
