//! A backbone as a list of layers.
//!
//! Layers are listed in the order of Keras's `base_model.layers`, so that "the last 10" means the same
//! here. Each names the tensors it needs in the weights file. Cutting anywhere, counting what trains
//! and folding normalisations are operations on this list.

mod batch_norm;
mod fold;
mod forward;
mod fuse;
mod fused;
mod op;
mod order;
mod plan;
mod shapes;
mod tensors;

use spec::config::Freeze;
use spec::sweep_file::suggest::nearest;

pub use forward::Mode;
pub use fuse::{Fusion, Step};
pub use fused::{Activation, Geometry};
pub use op::{BatchNorm, Conv2d, Op, Padding};
pub use plan::Plan;
pub use shapes::Shape;
pub use tensors::{Layout, Role, TensorSpec};

/// A backbone without its weights.
#[derive(Debug, Clone)]
pub struct Graph {
    layers: Vec<Layer>,
}

/// A name that none of a backbone's layers has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("none of the backbone's {layers} layers is called `{name}`: {hint}")]
pub struct UnknownLayer {
    /// The name.
    pub name: String,
    /// How many layers there are.
    pub layers: usize,
    /// What may have been meant.
    pub hint: String,
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

impl Graph {
    /// A graph of the input alone.
    pub fn new() -> Self {
        Self {
            layers: vec![Layer {
                name: "input_layer".to_owned(),
                op: Op::Input,
                inputs: Vec::new(),
            }],
        }
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
    ///
    /// # Errors
    /// When no layer has the name that `freeze` gives.
    pub fn first_trainable(&self, freeze: &Freeze) -> Result<Option<LayerIndex>, UnknownLayer> {
        let from = match freeze {
            Freeze::All => return Ok(None),
            Freeze::None => 0,
            Freeze::UnfreezeLast(count) => self.layers.len().saturating_sub(*count as usize),
            Freeze::UnfreezeFrom(name) => self.find(name)?,
        };
        Ok((from..self.layers.len()).find(|&index| self.layers[index].op.has_parameters()))
    }

    fn find(&self, name: &str) -> Result<LayerIndex, UnknownLayer> {
        let names = || self.layers.iter().map(|layer| layer.name.as_str());
        names().position(|other| other == name).ok_or_else(|| {
            let hint = match nearest(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its last one is `{}`", self.layers[self.last()].name),
            };
            UnknownLayer { name: name.to_owned(), layers: self.layers.len(), hint }
        })
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
                torch_momentum: 0.0,
                keras_scale: true,
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
            (Freeze::UnfreezeFrom("b".to_owned()), Some(2), 1),
            (Freeze::UnfreezeFrom("add".to_owned()), Some(4), 3),
            (Freeze::UnfreezeFrom("input_layer".to_owned()), Some(1), 0),
        ] {
            assert_eq!(graph.first_trainable(&freeze), Ok(first_trainable), "{freeze:?}");
            assert_eq!(graph.cut(first_trainable), cut, "{freeze:?}");
        }
        // Padding alone is no prefix.
        let mut graph = Graph::new();
        let pad = graph.push("pad", Op::ZeroPad(Padding::Each(1)), [Graph::INPUT]);
        graph.push("relu", Op::Relu, [pad]);
        assert_eq!(graph.cut(Some(2)), 0);
    }

    #[test]
    fn a_name_that_no_layer_has_is_an_error() {
        let error = |name: &str| {
            let freeze = Freeze::UnfreezeFrom(name.to_owned());
            with_shortcut().first_trainable(&freeze).unwrap_err().to_string()
        };
        let whose = "none of the backbone's 5 layers is called";
        assert_eq!(error("adds"), format!("{whose} `adds`: did you mean `add`?"));
        assert_eq!(error("conv9"), format!("{whose} `conv9`: its last one is `c`"));
    }

    #[test]
    fn a_shortcut_keeps_two_tensors_alive() {
        let graph = with_shortcut();
        // Were only `add` and `c` to train, `a` and `b` would both be alive before them.
        assert_eq!(graph.cut(Some(3)), 1);
    }
}
