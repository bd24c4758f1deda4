//! The order in which Keras lists the layers of a model.

use std::cmp::Reverse;

use super::{Graph, Layer, LayerIndex};

impl Graph {
    /// The same graph, listed as Keras does: by the longest way to the output, longest first; among
    /// equals by when a walk from the output, depth first, meets them.
    /// <https://github.com/keras-team/keras/blob/master/keras/src/ops/function.py>, `map_graph`
    pub fn in_keras_order(self) -> Self {
        let (depths, visits) = (self.depths(), self.visits());
        let mut order: Vec<LayerIndex> = (0..self.layers.len()).collect();
        order.sort_by_key(|&index| (Reverse(depths[index]), visits[index]));
        let mut places = vec![0; order.len()];
        for (place, &index) in order.iter().enumerate() {
            places[index] = place;
        }
        let layer = |&index: &LayerIndex| {
            let Layer { name, op, inputs } = self.layers[index].clone();
            Layer { name, op, inputs: inputs.iter().map(|&input| places[input]).collect() }
        };
        Self { layers: order.iter().map(layer).collect() }
    }

    /// For each layer the longest way from it to the output, in layers.
    fn depths(&self) -> Vec<usize> {
        let mut depths = vec![0; self.layers.len()];
        for (index, layer) in self.layers.iter().enumerate().rev() {
            for &input in &layer.inputs {
                depths[input] = depths[input].max(depths[index] + 1);
            }
        }
        depths
    }

    /// For each layer how many others a walk from the output meets before it.
    fn visits(&self) -> Vec<usize> {
        let mut visits = vec![None; self.layers.len()];
        let mut met = 0;
        let mut ahead = vec![self.last()];
        while let Some(index) = ahead.pop() {
            if visits[index].is_none() {
                visits[index] = Some(met);
                met += 1;
                ahead.extend(self.layers[index].inputs.iter().rev());
            }
        }
        visits.into_iter().map(|visit| visit.unwrap_or(met)).collect()
    }
}
