//! The output of the frozen prefix: computed once for each image, kept in memory and on disk.

mod cache;

use std::path::Path;

use serde::Serialize;
use spec::config::Pooling;
use spec::protocol::Stage;
use spec::run_id::TRAINING_SEMANTICS;
use tch::{Device, TchError, Tensor};
use tracing::{info, warn};

use crate::backbones::Backbone;
use crate::data::Square;
use crate::graph::{Graph, LayerIndex, Mode};
use crate::library::{ImageSet, Library, Loaded};
use crate::link::{Halt, Link, chain};
use crate::preprocess::Preprocessing;
use crate::recent::Recent;

pub use cache::{CacheFile, Found};

/// Bytes of features kept in memory.
const MOST_BYTES: usize = 2 << 30;

/// Images that pass through the frozen prefix together.
const BATCH: usize = 32;

/// Up to where a backbone is frozen.
#[derive(Debug, Clone, Copy)]
pub struct Prefix<'a> {
    /// The network.
    pub backbone: &'a Backbone,
    /// The last layer of the prefix.
    pub cut: LayerIndex,
    /// Part of the prefix when nothing of the backbone trains.
    pub pooling: Pooling,
}

impl Prefix<'_> {
    /// Whether there is nothing to compute: the images themselves are the input of what trains.
    pub fn is_empty(&self) -> bool {
        self.cut == Graph::INPUT
    }

    /// Whether pooling belongs to it.
    pub fn is_pooled(&self) -> bool {
        self.cut == self.backbone.graph.last()
    }
}

/// Everything that features depend on; its hash names the file that holds them.
#[derive(Debug, Serialize)]
struct Key<'a> {
    semantics: u32,
    images: &'a str,
    image_size: u32,
    interpolation: &'a str,
    preprocessing: Preprocessing,
    backbone: &'a str,
    weights: &'a str,
    cut: &'a str,
    pooling: Option<&'a str>,
    /// The last bits differ between kinds of devices, and a run repeated on one shall give the same.
    device: &'a str,
}

impl Key<'_> {
    fn hash(&self) -> Result<String, Halt> {
        let json = serde_json::to_vec(self).map_err(|error| Halt::Cache(error.into()))?;
        Ok(blake3::hash(&json).to_hex().to_string())
    }
}

/// What features are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The frozen prefix.
    pub prefix: Prefix<'a>,
    /// The name of its network.
    pub name: &'a str,
    /// Its weights.
    pub loaded: &'a Loaded,
    /// What the images are made to.
    pub square: Square,
    /// Where features are kept on disk.
    pub cache: &'a Path,
}

/// Features in memory.
#[derive(Debug)]
pub struct Features {
    device: Device,
    memory: Recent<String, Tensor>,
}

impl Features {
    /// An empty memory of features on `device`.
    pub fn new(device: Device) -> Self {
        Self { device, memory: Recent::new(MOST_BYTES) }
    }

    /// Forgets everything, so that its memory can be had again.
    pub fn clear(&mut self) {
        self.memory.clear();
    }

    /// The features of all images of `set`, on the device: `[images, features]` when the prefix is
    /// pooled, `[images, height, width, channels]` else.
    ///
    /// They come from memory, else from disk, else they are computed. Of several workers that want the
    /// same ones the first computes and the others wait.
    ///
    /// # Errors
    /// When an image cannot be decoded, libtorch fails, or the run is stopped.
    pub fn of(
        &mut self,
        set: &ImageSet,
        request: &Request<'_>,
        library: &mut Library,
        link: &Link<'_>,
    ) -> Result<Tensor, Halt> {
        let prefix = &request.prefix;
        let key = Key {
            semantics: TRAINING_SEMANTICS,
            images: &set.fingerprint,
            image_size: request.square.side,
            interpolation: request.square.interpolation.name(),
            preprocessing: prefix.backbone.preprocessing,
            backbone: request.name,
            weights: &request.loaded.id,
            cut: &prefix.backbone.graph.layers()[prefix.cut].name,
            pooling: prefix.is_pooled().then(|| prefix.pooling.name()),
            device: if self.device.is_cuda() { "cuda" } else { "cpu" },
        }
        .hash()?;
        if let Some(features) = self.memory.get(&key) {
            return Ok(features.shallow_clone());
        }
        let file = CacheFile::new(request.cache, &key);
        let _lock = file.lock(|| link.check())?;
        let images = set.folder.images.len();
        let features = match file.read(images as i64)? {
            Found::Features(features) => {
                info!("features of {images} images read from {}", file.path().display());
                features.f_to_device(self.device)?
            }
            found => {
                if let Found::Broken(why) = found {
                    warn!("{} is broken ({why}) and computed anew", file.path().display());
                }
                let pixels = library.pixels(set, request.square, link)?;
                let features = self.compute(&pixels, request, link)?;
                // Features that cannot be kept are still features.
                if let Err(error) = file.write(&features) {
                    warn!("the features are not kept on disk: {}", chain(&error));
                }
                features
            }
        };
        self.memory.insert(key, features.shallow_clone(), features.numel() * size_of::<f32>());
        Ok(features)
    }

    fn compute(
        &self,
        pixels: &Tensor,
        request: &Request<'_>,
        link: &Link<'_>,
    ) -> Result<Tensor, Halt> {
        let _no_grad = tch::no_grad_guard();
        let images = pixels.size()[0];
        let mut features: Option<Tensor> = None;
        for start in (0..images).step_by(BATCH) {
            link.progress(Stage::Features, start as usize, images as usize)?;
            let batch = pixels.f_narrow(0, start, (images - start).min(BATCH as i64))?;
            let batch = self.batch(&batch, request)?;
            let all = match &mut features {
                Some(all) => all,
                empty => {
                    let mut shape = batch.size();
                    shape[0] = images;
                    empty.insert(Tensor::f_empty(shape, (batch.kind(), self.device))?)
                }
            };
            all.f_narrow(0, start, batch.size()[0])?.f_copy_(&batch)?;
        }
        link.progress(Stage::Features, images as usize, images as usize)?;
        features.ok_or_else(|| Halt::Config("there are no images".to_owned()))
    }

    fn batch(&self, pixels: &Tensor, request: &Request<'_>) -> Result<Tensor, TchError> {
        let Prefix { backbone, cut, pooling } = request.prefix;
        let input = backbone.preprocessing.apply(pixels, self.device)?;
        let weights = &request.loaded.weights;
        let map = backbone.graph.forward(weights, Graph::INPUT, cut, &input, Mode::Inference)?;
        if request.prefix.is_pooled() { pool(&map, pooling) } else { map.f_permute([0, 2, 3, 1]) }
    }
}

/// Turns a feature map `[images, channels, height, width]` into the head's input.
///
/// # Errors
/// What libtorch says, such as that memory ran out.
pub fn pool(map: &Tensor, pooling: Pooling) -> Result<Tensor, TchError> {
    match pooling {
        Pooling::Gap => map.f_mean_dim([2i64, 3].as_slice(), false, tch::Kind::Float),
        Pooling::Gmp => map.f_amax([2i64, 3], false),
        // In Keras's order: by row, column, channel.
        Pooling::Flatten => map.f_permute([0, 2, 3, 1])?.f_flatten(1, -1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_is_keras_s() {
        let map = Tensor::from_slice(&[1f32, 2., 3., 4., 10., 20., 30., 40.]).reshape([1, 2, 2, 2]);
        for (pooling, expected) in [
            (Pooling::Gap, vec![2.5, 25.0]),
            (Pooling::Gmp, vec![4.0, 40.0]),
            (Pooling::Flatten, vec![1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0]),
        ] {
            let pooled = pool(&map, pooling).unwrap();
            assert_eq!(
                Vec::<f32>::try_from(pooled.squeeze_dim(0)).unwrap(),
                expected,
                "{pooling:?}"
            );
        }
    }
}
