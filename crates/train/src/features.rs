//! The output of the frozen prefix: computed once for each image, kept in memory and on disk.

mod cache;
mod encoder;

use std::cell::Cell;
use std::path::Path;

use serde::Serialize;
use spec::config::{Augment, Pooling, Precision};
use spec::protocol::Stage;
use spec::run_id::TRAINING_SEMANTICS;
use tch::{Device, TchError, Tensor};
use tracing::{info, warn};

use crate::augment::{View, Views};
use crate::backbones::Backbone;
use crate::data::Square;
use crate::device::{DeviceError, rounding};
use crate::graph::{Graph, LayerIndex};
use crate::library::{ImageSet, Library, Loaded};
use crate::link::{Halt, Link, chain};
use crate::preprocess::Preprocessing;
use crate::recent::Recent;

pub use cache::{CacheFile, Found};
pub use encoder::Encoder;

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
    /// What the prefix computes in.
    pub precision: Precision,
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
    /// What the images are changed by, and which of the changes it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<(&'a Augment, u32)>,
    preprocessing: Preprocessing,
    backbone: &'a str,
    weights: &'a str,
    precision: &'a str,
    cut: &'a str,
    pooling: Option<&'a str>,
    /// How the device rounds: [`rounding`].
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

/// What the images of a set are seen as.
#[derive(Debug, Clone, Copy)]
enum Seen<'a> {
    Themselves,
    View { views: &'a Views, number: u32, count: u32 },
}

impl Seen<'_> {
    /// Of `images` images, how many were seen before this, and how many there are in all.
    fn progress(self, images: i64) -> (i64, i64) {
        match self {
            Self::Themselves => (0, images),
            Self::View { number, count, .. } => {
                (images * i64::from(number), images * i64::from(count))
            }
        }
    }
}

/// Features in memory.
#[derive(Debug)]
pub struct Features {
    device: Device,
    rounding: String,
    memory: Recent<String, Tensor>,
    /// Whether it was said that features cannot be kept.
    warned: Cell<bool>,
}

impl Features {
    /// An empty memory of features on `device`.
    ///
    /// # Errors
    /// When it is not known how the device rounds.
    pub fn new(device: Device) -> Result<Self, DeviceError> {
        let (rounding, memory) = (rounding(device)?, Recent::new(MOST_BYTES));
        Ok(Self { device, rounding, memory, warned: Cell::new(false) })
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
        let key = self.key(set, request, Seen::Themselves)?;
        if let Some(features) = self.memory.get(&key) {
            return Ok(features.shallow_clone());
        }
        let features = self.kept(set, request, Seen::Themselves, library, link)?;
        self.memory.insert(key, features.shallow_clone(), bytes(&features));
        Ok(features)
    }

    /// The features of fixed view 0 of every image of `set`, then those of view 1, and so on, `count` of
    /// them, shaped and kept as [`Self::of`] has them. On disk every view has a file of its own.
    ///
    /// # Errors
    /// As [`Self::of`]; and when they would take too much memory together.
    pub fn of_views(
        &mut self,
        set: &ImageSet,
        (augment, count): (&Augment, u32),
        request: &Request<'_>,
        library: &mut Library,
        link: &Link<'_>,
    ) -> Result<Tensor, Halt> {
        // Their names tell nothing of seeds, nor may they.
        let views = &Views::fixed(augment);
        let seen = |number| Seen::View { views, number, count };
        let key = format!("{count} from {}", self.key(set, request, seen(0))?);
        if let Some(features) = self.memory.get(&key) {
            return Ok(features.shallow_clone());
        }
        let images = set.folder.images.len() as i64;
        let mut all: Option<Tensor> = None;
        for number in 0..count {
            let view = self.kept(set, request, seen(number), library, link)?;
            let all = match &mut all {
                Some(all) => all,
                empty => {
                    fits(images, count, bytes(&view))?;
                    self.memory.make_room(bytes(&view) * count as usize);
                    let mut shape = view.size();
                    shape[0] *= i64::from(count);
                    empty.insert(Tensor::f_empty(shape, (view.kind(), self.device))?)
                }
            };
            all.f_narrow(0, images * i64::from(number), images)?.f_copy_(&view)?;
        }
        let all = all.ok_or_else(|| Halt::Config("views must be at least 1".to_owned()))?;
        self.memory.insert(key, all.shallow_clone(), bytes(&all));
        Ok(all)
    }

    fn key(&self, set: &ImageSet, request: &Request<'_>, seen: Seen<'_>) -> Result<String, Halt> {
        let prefix = &request.prefix;
        let key = Key {
            semantics: TRAINING_SEMANTICS,
            images: &set.fingerprint,
            image_size: request.square.side,
            interpolation: request.square.interpolation.name(),
            view: match seen {
                Seen::Themselves => None,
                Seen::View { views, number, .. } => Some((views.augment(), number)),
            },
            preprocessing: prefix.backbone.preprocessing,
            backbone: request.name,
            weights: &request.loaded.id,
            precision: prefix.precision.resolved().name(),
            cut: &prefix.backbone.graph.layers()[prefix.cut].name,
            pooling: prefix.is_pooled().then(|| prefix.pooling.name()),
            device: &self.rounding,
        };
        key.hash()
    }

    /// Features from disk, else computed.
    fn kept(
        &self,
        set: &ImageSet,
        request: &Request<'_>,
        seen: Seen<'_>,
        library: &mut Library,
        link: &Link<'_>,
    ) -> Result<Tensor, Halt> {
        let file = CacheFile::new(request.cache, &self.key(set, request, seen)?);
        let images = set.folder.images.len();
        let (lock, found) = match self.look(&file, images, link) {
            Err(Halt::Cache(error)) => {
                if !self.warned.replace(true) {
                    warn!("features are not kept on disk: {error}");
                }
                (None, Found::Nothing)
            }
            looked => looked.map(|(lock, found)| (Some(lock), found))?,
        };
        match found {
            Found::Features(features) => {
                info!("features of {images} images read from {}", file.path().display());
                // Not by way of pinned memory: that would hold all of it twice.
                Ok(features.f_to_device(self.device)?)
            }
            found => {
                if let Found::Broken(why) = found {
                    warn!("{} is broken ({why}) and computed anew", file.path().display());
                }
                let features = self.compute(set, request, seen, library, link)?;
                // Features that cannot be kept are still features.
                if lock.is_some()
                    && let Err(error) = file.write(&features)
                {
                    warn!("the features are not kept on disk: {}", chain(&error));
                }
                Ok(features)
            }
        }
    }

    /// What is on disk, with the lock on it.
    fn look(
        &self,
        file: &CacheFile,
        images: usize,
        link: &Link<'_>,
    ) -> Result<(fs_err::File, Found), Halt> {
        let lock = file.lock(|| link.check())?;
        Ok((lock, file.read(images as i64)?))
    }

    fn compute(
        &self,
        set: &ImageSet,
        request: &Request<'_>,
        seen: Seen<'_>,
        library: &mut Library,
        link: &Link<'_>,
    ) -> Result<Tensor, Halt> {
        let _no_grad = tch::no_grad_guard();
        let encoder = Encoder::new(request.prefix, &request.loaded.weights, self.device)?;
        let images = set.folder.images.len() as i64;
        let (before, total) = seen.progress(images);
        let mut features: Option<Tensor> = None;
        let mut take = |start: i64, pixels: &Tensor| -> Result<(), Halt> {
            link.progress(Stage::Features, (before + start) as usize, total as usize)?;
            let batch = encoder.encode(pixels)?;
            let all = match &mut features {
                Some(all) => all,
                empty => {
                    let mut shape = batch.size();
                    shape[0] = images;
                    empty.insert(Tensor::f_empty(shape, (batch.kind(), self.device))?)
                }
            };
            all.f_narrow(0, start, batch.size()[0])?.f_copy_(&batch)?;
            Ok(())
        };
        match seen {
            Seen::Themselves => library.batches(set, request.square, BATCH, take)?,
            Seen::View { views, number, .. } => {
                let pixels = library.pixels(set, request.square, link)?;
                let view = |image| View { image, number: number.into() };
                for batch in (0..images).map(view).collect::<Vec<_>>().chunks(BATCH) {
                    take(batch[0].image, &views.of(&pixels, batch)?)?;
                }
            }
        }
        link.progress(Stage::Features, (before + images) as usize, total as usize)?;
        features.ok_or_else(|| Halt::Config("there are no images".to_owned()))
    }
}

/// What 32-bit features take.
fn bytes(features: &Tensor) -> usize {
    features.numel() * size_of::<f32>()
}

/// Refuses views that fill the memory for features, given what one view of all images takes.
fn fits(images: i64, count: u32, bytes: usize) -> Result<(), Halt> {
    let all = bytes.saturating_mul(count as usize);
    if count == 1 || all <= MOST_BYTES {
        return Ok(());
    }
    let mib = |bytes: usize| bytes.div_ceil(1 << 20);
    Err(Halt::Config(format!(
        "the features of {count} views of {images} images would take {} MiB of memory, and {} MiB are the \
         most: take at most views = {}, or views = \"fresh\"",
        mib(all),
        mib(MOST_BYTES),
        (MOST_BYTES / bytes).max(1),
    )))
}

/// Turns a feature map `[images, channels, height, width]` into the head's input.
///
/// # Errors
/// What libtorch says, such as that memory ran out.
pub fn pool(map: &Tensor, pooling: Pooling) -> Result<Tensor, TchError> {
    match pooling {
        Pooling::Gap => map.f_mean_dim([2i64, 3].as_slice(), false, None),
        Pooling::Gmp => map.f_amax([2i64, 3], false),
        // In Keras's order: by row, column, channel.
        Pooling::Flatten => map.f_permute([0, 2, 3, 1])?.f_flatten(1, -1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_that_fill_the_memory_are_refused() {
        // A view of 1,000 images with 62,720 features.
        let view = 1000 * 62_720 * 4;
        assert!(fits(1000, 8, view).is_ok());
        let error = fits(1000, 9, view).unwrap_err().to_string();
        assert!(error.contains("9 views of 1000 images would take 2154 MiB"), "{error}");
        assert!(error.contains("at most views = 8"), "{error}");
    }

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
