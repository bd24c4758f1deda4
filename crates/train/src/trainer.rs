//! Runs from order to outcome.

use spec::config::{Augment, Model as Architecture, Views as HowMany};
use spec::protocol::RunOrder;
use spec::record::Outcome;
use spec::run_id::RunId;
use tch::{Device, TchError, Tensor};

use crate::answers::{Sets, Trained};
use crate::augment::{Augmented, Drawn, Views};
use crate::backbones::Backbone;
use crate::checkpoint::{Keeper, Places, keeper};
use crate::data::{Folder, Split, Square};
use crate::device::{DeviceError, OneThread};
use crate::features::{Encoder, Features, Prefix, Request};
use crate::fit::{Samples, Training, fit, logits};
use crate::graph::LayerIndex;
use crate::head::Design;
use crate::library::{ImageSet, Library, Loaded, folders};
use crate::link::{Halt, Link};
use crate::model::{Model, Start};
use crate::task::{Images, Read, Task};
use crate::together::{self, Group};

/// Trains runs, keeping what the next ones may share: images, weights, features.
#[derive(Debug)]
pub struct Trainer {
    device: Device,
    library: Library,
    features: Features,
}

/// The backbone of runs, in the part that is computed once and the part that trains.
struct Backed<'a> {
    prefix: Prefix<'a>,
    first_trainable: Option<LayerIndex>,
    loaded: &'a Loaded,
}

/// How a run gets on.
#[derive(Debug)]
pub enum Told {
    /// It is under way; this may be said again.
    Begun,
    /// It has ended.
    Ended(Result<Outcome, Halt>),
}

/// Who is told how runs get on.
pub type Tell<'a> = &'a mut dyn FnMut(RunId, Told) -> Result<(), Halt>;

impl Trainer {
    /// A trainer on `device` that knows nothing yet.
    ///
    /// # Errors
    /// When it is not known what the device is.
    pub fn new(device: Device) -> Result<Self, DeviceError> {
        Ok(Self { device, library: Library::new(device), features: Features::new(device)? })
    }

    /// Trains the runs of a group, with what outlives them in `places`. Their epochs, notes and predictions
    /// go to `link`; `tell` is told when they begin and end.
    ///
    /// # Errors
    /// When something ends all of them that were not told to have ended.
    pub fn train<'a>(
        &mut self,
        group: &Group<'_>,
        places: impl Into<Places<'a>>,
        link: &Link<'_>,
        tell: Tell<'_>,
    ) -> Result<(), Halt> {
        let places = places.into();
        let Some(first) = group.runs.first() else { return Ok(()) };
        // What they share is computed in its name.
        tell(first.run, Told::Begun)?;
        let config = &first.config;
        let backbone = Backbone::of_model(&config.model);
        let first_trainable = backbone.graph.first_trainable(&config.model.freeze)?;
        let cut = backbone.graph.cut(first_trainable);
        let Architecture { pooling, precision, .. } = config.model;
        let prefix = Prefix { backbone: &backbone, cut, pooling, precision };
        self.library.expect(first);
        let folders = folders(&config.data)?;
        let mut tasks = Vec::new();
        for order in &group.runs {
            match Task::new(order, &folders.0) {
                Ok(task) => tasks.push(task),
                Err(halt) => {
                    tell(order.run, Told::Begun)?;
                    tell(order.run, Told::Ended(Err(halt)))?;
                }
            }
        }
        if tasks.is_empty() {
            return Ok(());
        }
        let loaded = self.library.weights(first, &backbone)?;
        let request = Request {
            prefix,
            name: config.model.backbone.name(),
            loaded: &loaded,
            square: Square {
                side: config.data.image_size,
                interpolation: config.data.interpolation,
            },
            cache: places.cache,
        };
        let images = self.images(folders, first, &request, link)?;
        if group.fused {
            return together::train(&tasks, &images, link, tell);
        }
        let backed = Backed { prefix, first_trainable, loaded: &loaded };
        for task in &tasks {
            tell(task.order.run, Told::Begun)?;
            let keeper = keeper(places, task.order);
            let outcome = self.train_alone(task, &images, &backed, keeper, link);
            tell(task.order.run, Told::Ended(outcome))?;
        }
        Ok(())
    }

    /// Trains one run.
    ///
    /// # Errors
    /// When it ends before its end.
    pub fn run<'a>(
        &mut self,
        order: &RunOrder,
        places: impl Into<Places<'a>>,
        link: &Link<'_>,
    ) -> Result<Outcome, Halt> {
        let mut ended = Err(Halt::Stopped);
        let group = Group { runs: vec![order], fused: order.config.can_fuse() };
        self.train(&group, places, link, &mut |_, told| {
            if let Told::Ended(outcome) = told {
                ended = outcome;
            }
            Ok(())
        })?;
        ended
    }

    /// Trains the models of a run with libtorch, one after the other.
    fn train_alone(
        &self,
        task: &Task<'_>,
        images: &Images<'_>,
        backed: &Backed<'_>,
        mut keeper: Keeper<'_>,
        link: &Link<'_>,
    ) -> Result<Outcome, Halt> {
        // Views that are drawn for every step keep the whole backbone busy.
        let is_head_alone =
            backed.prefix.is_pooled() && !matches!(images.augmented, Some(Augmented::Drawn(_)));
        let _one_thread = is_head_alone.then(OneThread::begin);
        let sets = task.sets(images, self.device)?;
        let mut models = Vec::new();
        for (at, lane) in task.lanes.iter().enumerate() {
            let trained = self.fit((task, at), images, &sets, backed, &mut keeper, link);
            models.push(trained.map_err(|halt| lane.halt(halt))?);
        }
        task.conclude(&sets, models, images, link)
    }

    /// Trains the model of one lane and asks it about the validation and test images.
    fn fit(
        &self,
        (task, at): (&Task<'_>, usize),
        images: &Images<'_>,
        sets: &Sets,
        backed: &Backed<'_>,
        keeper: &mut Keeper<'_>,
        link: &Link<'_>,
    ) -> Result<Trained, Halt> {
        let (lane, config) = (&task.lanes[at], &task.order.config);
        let Split { training, validation: aside } = lane.split.clone();
        let weights = match &task.class_weights[at] {
            Some(of_classes) => Some(self.weights(of_classes, &images.labels)?),
            None => None,
        };
        let train = Samples { weights, ..sets.train.samples.only(training) };
        let validation = match &sets.validation {
            Some(folder) => Some(folder.samples.only(folder.samples.images.clone())),
            None => (!aside.is_empty()).then(|| sets.train.samples.only(aside)),
        };
        let start = Start {
            loss: task.loss,
            design: &Design::of(&config.model),
            optimizer: config.train.optimizer,
            source: lane.source,
        };
        let mut model = Model::new(
            backed.prefix,
            backed.first_trainable,
            &backed.loaded.weights,
            &train.inputs.f_narrow(0, 0, 1)?,
            start,
        )?;
        let training = Training { samples: &train, augmented: images.augmented.as_ref() };
        let fit = fit(&mut model, training, validation.as_ref(), lane, keeper, link)?;
        let ask = |samples: &Samples| logits(&model, samples, link);
        let test = sets.test.as_ref().map(|test| ask(&test.samples)).transpose()?;
        let validation = match validation {
            Some(samples) => Some((ask(&samples)?, samples.images)),
            None => None,
        };
        Ok(Trained { fold: lane.source.fold, fit, validation, test })
    }

    /// Gives memory back, after some ran out.
    pub fn forget(&mut self) {
        self.library.clear();
        self.features.clear();
    }

    /// What training reads of the images of `set` in place of them. Of images that this run validates on
    /// views are computed too: another seed trains on them.
    fn augmented<'a>(
        &mut self,
        set: &ImageSet,
        augment: &Augment,
        seed: u64,
        request: &Request<'a>,
        link: &Link<'_>,
    ) -> Result<Augmented<'a>, Halt> {
        let prefix = request.prefix;
        let (views, count) = match augment.views {
            HowMany::Fresh => (Views::fresh(augment, seed), None),
            HowMany::Fixed(count) if prefix.is_empty() => (Views::fixed(augment), Some(count)),
            HowMany::Fixed(count) => {
                let views = (augment, count);
                let inputs =
                    self.features.of_views(set, views, request, &mut self.library, link)?;
                return Ok(Augmented::Kept { inputs, count });
            }
        };
        let pixels = self.library.pixels(set, request.square, link)?;
        let encoder = match prefix.is_empty() {
            true => None,
            false => Some(Encoder::new(prefix, &request.loaded.weights, self.device)?),
        };
        Ok(Augmented::Drawn(Box::new(Drawn { pixels, views, count, encoder })))
    }

    /// What a model reads of the images of runs.
    fn images<'a>(
        &mut self,
        (train, validation, test): (Folder, Option<Folder>, Option<Folder>),
        order: &RunOrder,
        request: &Request<'a>,
        link: &Link<'_>,
    ) -> Result<Images<'a>, Halt> {
        let classes = train.classes.clone().unwrap_or_default();
        let labels = train.labels().unwrap_or_default();
        let train = self.read(train, request, link)?;
        let validation = validation.map(|folder| self.read(folder, request, link)).transpose()?;
        let test = test.map(|folder| self.read(folder, request, link)).transpose()?;
        let augmented = match &order.config.augment {
            Some(augment) => Some(self.augmented(&train.set, augment, order.seed, request, link)?),
            None => None,
        };
        Ok(Images { train, validation, test, augmented, classes, labels })
    }

    /// A folder's images with what a model reads of them.
    fn read(
        &mut self,
        folder: Folder,
        request: &Request<'_>,
        link: &Link<'_>,
    ) -> Result<Read, Halt> {
        let set = self.library.set(folder)?;
        let inputs = if request.prefix.is_empty() {
            self.library.pixels(&set, request.square, link)?
        } else {
            self.features.of(&set, request, &mut self.library, link)?
        };
        Ok(Read { set, inputs })
    }

    /// How much each image of the training folder counts, `[images, 1]`.
    fn weights(&self, of_classes: &[f32], labels: &[u32]) -> Result<Tensor, TchError> {
        let of_images: Vec<f32> = labels.iter().map(|label| of_classes[*label as usize]).collect();
        Tensor::f_from_slice(&of_images)?.f_reshape([-1, 1])?.f_to_device(self.device)
    }
}
