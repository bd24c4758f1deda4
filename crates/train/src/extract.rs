//! Pooled features of single images, for people to look at.

use rayon::prelude::*;
use spec::protocol::{Event, FeaturesOrder};
use tch::{Device, Kind, Tensor};

use crate::backbones::Backbone;
use crate::data::{Square, decode};
use crate::features::pool;
use crate::graph::Plan;
use crate::link::{Halt, Link};
use crate::weights::Weights;

/// Images that pass through the backbone together.
const BATCH: usize = 32;

/// Sends the features of each image of `order`, in their order.
///
/// # Errors
/// When the weights are not the backbone's, an image cannot be decoded, or the work is stopped. The
/// images before it have been answered.
pub fn extract(order: &FeaturesOrder, device: Device, link: &Link<'_>) -> Result<(), Halt> {
    let _no_grad = tch::no_grad_guard();
    let backbone = Backbone::asked(order.backbone, order.preprocessing);
    let graph = &backbone.graph;
    let weights = Weights::read(&backbone, &order.weights, device)?;
    let plan = Plan::compile(graph, &weights, graph.last(), Kind::Float)?;
    drop(weights);
    let side = order.image_size;
    let square = Square { side, interpolation: order.interpolation };
    let bytes = square.bytes();
    for images in order.images.chunks(BATCH) {
        link.check()?;
        let mut pixels = vec![0; bytes * images.len()];
        pixels
            .par_chunks_mut(bytes)
            .zip(images)
            .try_for_each(|(pixels, image)| decode(image, square, pixels))?;
        let shape = [images.len() as i64, side.into(), side.into(), 3];
        let pixels = Tensor::f_from_data_size(&pixels, &shape, Kind::Uint8)?;
        let input = backbone.preprocessing.apply(&pixels, device)?;
        let pooled = pool(&plan.run(&input)?, order.pooling)?;
        for (image, row) in images.iter().zip(0..) {
            let features = Vec::<f32>::try_from(pooled.f_get(row)?)?;
            if features.iter().any(|feature| !feature.is_finite()) {
                let image = image.display();
                return Err(Halt::Config(format!("the features of {image} are not finite")));
            }
            link.send(&Event::Features { image: image.clone(), features })?;
        }
    }
    Ok(())
}
