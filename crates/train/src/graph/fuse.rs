//! Which layers of a frozen prefix are computed together.

use super::fused::{Activation, Geometry};
use super::{Conv2d, Graph, LayerIndex, Op, Padding};

/// Layers that are computed together, named by the last of them: it alone is read by others.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// One layer by itself.
    Layer(LayerIndex),
    /// A convolution and what follows it.
    Convolution(Fusion),
}

/// A convolution and what follows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fusion {
    /// The convolution.
    pub conv: LayerIndex,
    /// What it reads: before a border of zeros, where it makes that itself.
    pub input: LayerIndex,
    /// Where its kernel is laid.
    pub geometry: Geometry,
    /// The normalisation of its output.
    pub norm: Option<LayerIndex>,
    /// What its output is multiplied with.
    pub scale: f64,
    /// What is added then.
    pub addend: Option<LayerIndex>,
    /// What the sum goes through.
    pub activation: Activation,
    /// The last of these layers.
    pub output: LayerIndex,
}

impl Step {
    /// The layer whose output it computes.
    pub fn output(&self) -> LayerIndex {
        match self {
            Self::Layer(index) => *index,
            Self::Convolution(fusion) => fusion.output,
        }
    }

    /// The layers that it reads.
    pub fn inputs(&self, graph: &Graph) -> Vec<LayerIndex> {
        match self {
            Self::Layer(index) => graph.layers()[*index].inputs.clone(),
            Self::Convolution(fusion) => [fusion.input].into_iter().chain(fusion.addend).collect(),
        }
    }
}

impl Graph {
    /// The layers up to `cut` as steps, in an order in which each finds what it reads.
    ///
    /// A layer joins the convolution before it when nobody else reads what lies between. Where two
    /// convolutions meet in an addition the later one takes it.
    pub fn fuse(&self, cut: LayerIndex) -> Vec<Step> {
        let reader = self.sole_readers(cut);
        let mut steps: Vec<Option<Step>> =
            (0..=cut).map(|index| (index != Self::INPUT).then_some(Step::Layer(index))).collect();
        let mut taken = vec![false; cut + 1];
        for conv in (0..=cut).rev() {
            let Op::Conv2d(op) = &self.layers[conv].op else { continue };
            let mut fusion = self.alone(conv, op, &reader);
            while let Some(next) = reader[fusion.output].filter(|&next| !taken[next]) {
                let before = fusion.output;
                if !self.join(&mut fusion, next) {
                    break;
                }
                taken[next] = true;
                steps[before] = None;
            }
            if fusion.input != self.layers[conv].inputs[0] {
                steps[self.layers[conv].inputs[0]] = None;
            }
            let output = fusion.output;
            steps[output] = Some(Step::Convolution(fusion));
        }
        steps.into_iter().flatten().collect()
    }

    /// For each layer up to `cut` the only one that reads it. `cut` itself is read from outside.
    fn sole_readers(&self, cut: LayerIndex) -> Vec<Option<LayerIndex>> {
        let mut readers = vec![Vec::new(); cut + 1];
        for (index, layer) in self.layers[..=cut].iter().enumerate() {
            for &input in &layer.inputs {
                readers[input].push(index);
            }
        }
        readers[cut].clear();
        let sole = |readers: &Vec<_>| match readers[..] {
            [reader] => Some(reader),
            _ => None,
        };
        readers.iter().map(sole).collect()
    }

    /// A convolution with the border of zeros before it.
    fn alone(&self, conv: LayerIndex, op: &Conv2d, reader: &[Option<LayerIndex>]) -> Fusion {
        let before = self.layers[conv].inputs[0];
        let (input, padding) = match self.layers[before].op {
            Op::ZeroPad(Padding::Each(zeros))
                if op.padding == [0; 2] && reader[before] == Some(conv) =>
            {
                (self.layers[before].inputs[0], [zeros; 2])
            }
            _ => (before, op.padding),
        };
        Fusion {
            conv,
            input,
            geometry: Geometry { stride: op.stride, padding, groups: op.groups },
            norm: None,
            scale: 1.0,
            addend: None,
            activation: Activation::Linear,
            output: conv,
        }
    }

    /// Adds the layer `next`, which alone reads the output of `fusion`, when that can be.
    fn join(&self, fusion: &mut Fusion, next: LayerIndex) -> bool {
        let Fusion { conv, output, .. } = *fusion;
        if fusion.activation != Activation::Linear {
            return false;
        }
        let inputs = &self.layers[next].inputs;
        match self.layers[next].op {
            Op::BatchNorm(_) if output == conv => fusion.norm = Some(next),
            Op::Add if fusion.addend.is_none() => {
                fusion.addend = inputs.iter().copied().find(|&input| input != output);
            }
            Op::AddScaled { scale } if fusion.addend.is_none() && inputs[1] == output => {
                fusion.scale = scale;
                fusion.addend = Some(inputs[0]);
            }
            Op::Relu => fusion.activation = Activation::Relu,
            Op::Relu6 if fusion.addend.is_none() => fusion.activation = Activation::Relu6,
            _ => return false,
        }
        fusion.output = next;
        true
    }
}
