//! Images and weights that the worker has met: kept in memory for the runs to come.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use spec::config;
use spec::protocol::{RunOrder, Stage};
use tch::{Device, Kind, Tensor};
use tracing::{info, warn};

use crate::backbones::Backbone;
use crate::data::{Folder, Square, decode_all, decode_in_batches};
use crate::link::{Halt, Link};
use crate::recent::Recent;
use crate::weights::Weights;

/// Bytes of decoded images kept.
const MOST_PIXELS: usize = 1 << 30;
/// Bytes of weights kept.
const MOST_WEIGHTS: usize = 1 << 29;
/// Folders remembered.
const MOST_FOLDERS: usize = 16;

/// A folder of images and what their content is called.
#[derive(Debug, PartialEq, Eq)]
pub struct ImageSet {
    /// The images.
    pub folder: Folder,
    /// [`Folder::fingerprint`].
    pub fingerprint: String,
    /// As runs are planned on it: [`spec::images::fingerprint`].
    planned: String,
}

/// The weights of a run's backbone.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The tensors.
    pub weights: Rc<Weights>,
    /// Names them: a fingerprint, or the seed that they were drawn by.
    pub id: String,
}

/// Images and weights in memory.
#[derive(Debug)]
pub struct Library {
    device: Device,
    sets: Recent<Folder, Rc<ImageSet>>,
    /// What folders held when the run at hand was planned.
    expected: HashMap<PathBuf, String>,
    pixels: Recent<(String, Square), Tensor>,
    weights: Recent<(config::Backbone, String), Rc<Weights>>,
}

impl Library {
    /// An empty one; weights will lie on `device`.
    pub fn new(device: Device) -> Self {
        Self {
            device,
            sets: Recent::new(MOST_FOLDERS),
            expected: HashMap::new(),
            pixels: Recent::new(MOST_PIXELS),
            weights: Recent::new(MOST_WEIGHTS),
        }
    }

    /// Forgets everything, so that its memory can be had again.
    pub fn clear(&mut self) {
        self.pixels.clear();
        self.weights.clear();
    }

    /// Takes down what the folders of a run held when it was planned.
    pub fn expect(&mut self, order: &RunOrder) {
        let RunOrder { config: config::Builtin { data, .. }, fingerprints, .. } = order;
        self.expected.clear();
        let Some(planned) = fingerprints else { return };
        if let Some(planned) = &planned.train {
            self.expected.insert(data.train.clone(), planned.clone());
        }
        if let (config::Validation::Folder(folder), Some(planned)) =
            (&data.validation, &planned.validation)
        {
            self.expected.insert(folder.clone(), planned.clone());
        }
        if let (Some(folder), Some(planned)) = (&data.test, &planned.test) {
            self.expected.insert(folder.clone(), planned.clone());
        }
    }

    /// A listed folder with its fingerprint. The files are read only when the listing is new.
    ///
    /// # Errors
    /// When an image cannot be read, or the images are not those that the run was planned on.
    pub fn set(&mut self, folder: Folder) -> Result<Rc<ImageSet>, Halt> {
        let set = self.read(folder)?;
        match self.expected.get(&set.folder.root) {
            Some(expected) if *expected != set.planned => {
                Err(Halt::Changed { root: set.folder.root.clone() })
            }
            _ => Ok(set),
        }
    }

    fn read(&mut self, folder: Folder) -> Result<Rc<ImageSet>, Halt> {
        if let Some(set) = self.sets.get(&folder) {
            return Ok(Rc::clone(set));
        }
        for path in &folder.ignored {
            warn!("{} is passed over: only .jpg, .jpeg, .png and .webp are images", path.display());
        }
        let hashes = folder.hashes()?;
        let fingerprint = Folder::fingerprint_of(&hashes);
        let names = folder.images.iter().map(|image| &image.name);
        let planned = spec::images::fingerprint(names.zip(hashes));
        let set = Rc::new(ImageSet { folder: folder.clone(), fingerprint, planned });
        self.sets.insert(folder, Rc::clone(&set), 1);
        Ok(set)
    }

    /// The decoded images of a set, `[images, side, side, 3]` bytes in main memory.
    ///
    /// # Errors
    /// When an image cannot be decoded, or the run is stopped.
    pub fn pixels(
        &mut self,
        set: &ImageSet,
        square: Square,
        link: &Link<'_>,
    ) -> Result<Tensor, Halt> {
        let key = (set.fingerprint.clone(), square);
        if let Some(pixels) = self.pixels.get(&key) {
            return Ok(pixels.shallow_clone());
        }
        let images = set.folder.images.len();
        info!("decoding {images} images of {}", set.folder.root.display());
        let bytes =
            decode_all(&set.folder, square, |done| link.progress(Stage::Decode, done, images))?;
        let shape = [images as i64, square.side.into(), square.side.into(), 3];
        let pixels = Tensor::f_from_data_size(&bytes, &shape, Kind::Uint8)?;
        self.pixels.insert(key, pixels.shallow_clone(), bytes.len());
        Ok(pixels)
    }

    /// The same, `count` at a time and in order, `each` given the place of the first: those in memory,
    /// or else decoded while `each` is at those before. They are kept when there is room for them.
    ///
    /// # Errors
    /// When an image cannot be decoded, or of `each`.
    pub fn batches(
        &mut self,
        set: &ImageSet,
        square: Square,
        count: usize,
        mut each: impl FnMut(i64, &Tensor) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let images = set.folder.images.len();
        let key = (set.fingerprint.clone(), square);
        let shape = |images: usize| [images as i64, square.side.into(), square.side.into(), 3];
        if let Some(pixels) = self.pixels.get(&key) {
            for start in (0..images).step_by(count) {
                let count = count.min(images - start) as i64;
                each(start as i64, &pixels.f_narrow(0, start as i64, count)?)?;
            }
            return Ok(());
        }
        info!("decoding {images} images of {}", set.folder.root.display());
        let bytes = images * square.bytes();
        let mut kept = (bytes <= MOST_PIXELS).then(|| Vec::with_capacity(bytes));
        decode_in_batches(&set.folder, square, count, |start, pixels| {
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(pixels);
            }
            let count = pixels.len() / square.bytes();
            each(start as i64, &Tensor::f_from_data_size(pixels, &shape(count), Kind::Uint8)?)
        })?;
        if let Some(kept) = kept {
            let pixels = Tensor::f_from_data_size(&kept, &shape(images), Kind::Uint8)?;
            self.pixels.insert(key, pixels, bytes);
        }
        Ok(())
    }

    /// The weights that a run begins with.
    ///
    /// # Errors
    /// When the file does not hold those of the backbone.
    pub fn weights(&mut self, order: &RunOrder, backbone: &Backbone) -> Result<Loaded, Halt> {
        let source = Source::of(order)?;
        let id = source.id(order.seed);
        let key = (order.config.model.backbone, id.clone());
        if let Some(weights) = self.weights.get(&key) {
            return Ok(Loaded { weights: Rc::clone(weights), id });
        }
        let weights = Rc::new(match &source {
            Source::File { path, fingerprint } => {
                Weights::read_planned(backbone, path, fingerprint, self.device)?
            }
            Source::Seed => Weights::draw(backbone, order.seed, self.device)?,
        });
        self.weights.insert(key, Rc::clone(&weights), weights.bytes());
        Ok(Loaded { weights, id })
    }
}

/// Where a run's weights come from.
enum Source {
    File { path: PathBuf, fingerprint: String },
    Seed,
}

impl Source {
    fn of(order: &RunOrder) -> Result<Self, Halt> {
        match (&order.config.model.weights, &order.weights, &order.weights_fingerprint) {
            (config::Weights::None, _, _) => Ok(Self::Seed),
            (_, Some(path), Some(fingerprint)) => {
                Ok(Self::File { path: path.clone(), fingerprint: fingerprint.clone() })
            }
            (weights, path, _) => Err(Halt::Config(format!(
                "the order names {weights:?} as weights, but no {} (the orchestrator gives both)",
                if path.is_none() { "file" } else { "fingerprint of the file" }
            ))),
        }
    }

    fn id(&self, seed: u64) -> String {
        match self {
            Self::File { fingerprint, .. } => fingerprint.clone(),
            Self::Seed => format!("drawn by seed {seed}"),
        }
    }
}

/// Lists the folders of a run: training, validation where it has a folder of its own, test.
///
/// # Errors
/// When one of them holds not what is expected.
pub fn folders(data: &config::Data) -> Result<(Folder, Option<Folder>, Option<Folder>), Halt> {
    let train = Folder::with_classes(&data.train)?;
    let classes = train.classes.as_deref().unwrap_or_default();
    let validation = match &data.validation {
        config::Validation::Folder(path) => Some(Folder::labelled(path, classes)?),
        config::Validation::Fraction(_)
        | config::Validation::Folds(_)
        | config::Validation::None => None,
    };
    let unsure = |path: &Path| Folder::labelled_or_not(path, classes);
    let test = data.test.as_deref().map(unsure).transpose()?;
    Ok((train, validation, test))
}
