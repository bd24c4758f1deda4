//! A frozen prefix, ready to run: normalisations folded, convolutions fused with what follows them.

use tch::{Kind, TchError, Tensor};

use super::fold::Folded;
use super::forward::{Value, apply};
use super::fuse::{Fusion, Step};
use super::fused::{Addend, FusedConvolution};
use super::{Graph, LayerIndex, Layout, Op};
use crate::weights::{LayerWeights, Weights};

/// The layers of a graph up to a cut, with their weights.
#[derive(Debug)]
pub struct Plan {
    steps: Vec<Ready>,
    cut: LayerIndex,
    kind: Kind,
    layout: Layout,
}

#[derive(Debug)]
struct Ready {
    inputs: Vec<Read>,
    output: LayerIndex,
    work: Work,
}

#[derive(Debug)]
struct Read {
    from: LayerIndex,
    /// Nobody else reads it, and no later step.
    last: bool,
}

#[derive(Debug)]
enum Work {
    Layer(Op, LayerWeights),
    Convolution(FusedConvolution),
}

impl Plan {
    /// What `graph` computes up to `cut` in inference, in `kind`: [`Kind::Float`] or
    /// [`Kind::BFloat16`].
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn compile(
        graph: &Graph,
        weights: &Weights,
        cut: LayerIndex,
        kind: Kind,
    ) -> Result<Self, TchError> {
        let steps = graph.fuse(cut);
        let mut read_later = vec![false; cut + 1];
        read_later[cut] = true;
        let mut ready = Vec::with_capacity(steps.len());
        for step in steps.iter().rev() {
            let read = step.inputs(graph);
            let inputs = read.iter().map(|&from| {
                // What a step reads twice it may not change.
                let once = read.iter().filter(|&&other| other == from).count() == 1;
                Read { from, last: once && !read_later[from] }
            });
            let inputs = inputs.collect();
            read.iter().for_each(|&from| read_later[from] = true);
            let work = match step {
                Step::Layer(index) => {
                    Work::Layer(graph.layers[*index].op.clone(), weights.layer(*index).share())
                }
                Step::Convolution(fusion) => {
                    Work::Convolution(convolution(graph, weights, fusion, kind)?)
                }
            };
            ready.push(Ready { inputs, output: step.output(), work });
        }
        ready.reverse();
        Ok(Self { steps: ready, cut, kind, layout: weights.layout() })
    }

    /// The output of the cut for `input`, `[images, channels, height, width]`; both in 32-bit floats.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn run(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let mut alive: Vec<Option<Tensor>> = vec![];
        alive.resize_with(self.cut + 1, || None);
        alive[Graph::INPUT] = Some(input.f_to_kind(self.kind)?);
        for step in &self.steps {
            let inputs = step.inputs.iter().map(|read| {
                let tensor = match read.last {
                    true => alive[read.from].take(),
                    false => alive[read.from].as_ref().map(Tensor::shallow_clone),
                };
                let Some(tensor) = tensor else { unreachable!("a step reads an earlier one") };
                // In 32 bits the input is the caller's.
                Value { tensor, reusable: read.last && read.from != Graph::INPUT }
            });
            let mut inputs = inputs.collect::<Vec<_>>().into_iter();
            alive[step.output] = Some(match &step.work {
                Work::Layer(op, weights) => {
                    apply(op, weights, self.layout, inputs.collect(), false)?
                }
                Work::Convolution(convolution) => {
                    let Some(Value { tensor: input, .. }) = inputs.next() else {
                        unreachable!("a convolution reads a layer")
                    };
                    let addend =
                        inputs.next().map(|Value { tensor, reusable }| Addend { tensor, reusable });
                    convolution.apply(&input, addend)?
                }
            });
        }
        match &alive[self.cut] {
            Some(output) => output.f_to_kind(Kind::Float),
            None => unreachable!("the last step computes the cut"),
        }
    }
}

fn convolution(
    graph: &Graph,
    weights: &Weights,
    fusion: &Fusion,
    kind: Kind,
) -> Result<FusedConvolution, TchError> {
    let norm = fusion.norm.map(|index| match &graph.layers[index].op {
        Op::BatchNorm(norm) => (weights.layer(index), norm.epsilon),
        _ => unreachable!("only a normalisation is folded"),
    });
    let folded = Folded::of(weights.layer(fusion.conv), norm, fusion.scale)?;
    FusedConvolution::new(fusion.geometry, fusion.activation, &folded, kind)
}
