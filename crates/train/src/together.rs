//! Runs that train together: heads of one dense layer on the same features.

use spec::config::{Builtin as Config, Validation, Weights};
use spec::protocol::{Event, RunOrder};
use spec::record::Outcome;
use tch::{Device, TchError, Tensor};

use crate::answers::Trained;
use crate::augment::Augmented;
use crate::lanes::{self, Answers, Goal, Material, Plan, Said, Table};
use crate::link::{Halt, Link};
use crate::task::{Images, Task};
use crate::trainer::{Tell, Told};

/// Runs that are trained together, or one by itself.
#[derive(Debug)]
pub struct Group<'a> {
    /// At least one; of several the configurations fit each other.
    pub(crate) runs: Vec<&'a RunOrder>,
    /// Whether the kernel of [`crate::lanes`] trains them, whatever the device: a GPU would wait for such
    /// small steps, and its slot's CPU does not. One run alone is trained by it like many.
    pub(crate) fused: bool,
}

/// The runs in groups, each in the order in which they come; without `fuse` each is alone.
pub fn groups(orders: &[RunOrder], fuse: bool) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for order in orders {
        let fused = fuse && order.config.can_fuse();
        let fits = |group: &&mut Group<'_>| group.fused && go_together(group.runs[0], order);
        match groups.iter_mut().find(fits).filter(|_| fused) {
            Some(group) => group.runs.push(order),
            None => groups.push(Group { runs: vec![order], fused }),
        }
    }
    groups
}

/// Whether two runs that can be fused read the same features. What they may differ in is taken from one
/// of them; all else must be the same.
fn go_together(one: &RunOrder, other: &RunOrder) -> bool {
    let mut config = other.config.clone();
    config.train = one.config.train.clone();
    config.early_stopping = one.config.early_stopping.clone();
    config.reduce_lr_on_plateau = one.config.reduce_lr_on_plateau.clone();
    config.model.output = one.config.model.output;
    config.model.kernel_initializer = one.config.model.kernel_initializer;
    let has_folder = |config: &Config| matches!(config.data.validation, Validation::Folder(_));
    if !has_folder(&config) && !has_folder(&one.config) {
        config.data.validation = one.config.data.validation.clone();
    }
    // Weights that are drawn hang on the seed.
    let drawn = config.model.weights == Weights::None;
    config == one.config
        && one.weights == other.weights
        && one.weights_fingerprint == other.weights_fingerprint
        && one.fingerprints == other.fingerprints
        && (!drawn || one.seed == other.seed)
}

/// Trains the runs of `tasks` on the features of `images`.
///
/// # Errors
/// When nobody takes an event, or libtorch fails.
pub(crate) fn train(
    tasks: &[Task<'_>],
    images: &Images<'_>,
    link: &Link<'_>,
    tell: Tell<'_>,
) -> Result<(), Halt> {
    let material = material(images)?;
    let (mut runs, mut plans, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for task in tasks {
        places.extend((0..task.lanes.len()).map(|lane| (runs.len(), lane)));
        plans.extend(plans_of(task));
        runs.push(Run::new(task));
    }
    lanes::train(&plans, &material, link, |at, said| {
        let (run, lane) = places[at];
        runs[run].hear(lane, said, images, link, tell)
    })
}

fn plans_of<'a>(task: &'a Task<'a>) -> impl Iterator<Item = Plan<'a>> {
    let config = &task.order.config;
    task.lanes.iter().zip(&task.class_weights).map(|(lane, class_weights)| Plan {
        lane,
        goal: Goal::new(task.loss, config.train.label_smoothing),
        initializer: config.model.kernel_initializer,
        class_weights: class_weights.as_deref(),
    })
}

/// A run under way.
struct Run<'a> {
    task: &'a Task<'a>,
    begun: bool,
    lanes: Vec<Heard>,
    /// The first lane that has not ended. Its events are passed on at once, those of later folds when
    /// their turn comes: they stand in the same order whatever ends first.
    front: usize,
}

/// What a lane has said.
#[derive(Default)]
struct Heard {
    held: Vec<Event>,
    ended: Option<Result<Answers, Halt>>,
}

impl<'a> Run<'a> {
    fn new(task: &'a Task<'a>) -> Self {
        let lanes = task.lanes.iter().map(|_| Heard::default()).collect();
        Self { task, begun: false, lanes, front: 0 }
    }

    /// Takes what a lane says.
    fn hear(
        &mut self,
        lane: usize,
        said: Said,
        images: &Images<'_>,
        link: &Link<'_>,
        tell: Tell<'_>,
    ) -> Result<(), Halt> {
        let run = self.task.order.run;
        match said {
            Said::Began if !self.begun => {
                self.begun = true;
                tell(run, Told::Begun)?;
            }
            Said::Began => {}
            Said::Event(event) if lane == self.front => link.send(&event)?,
            Said::Event(event) => self.lanes[lane].held.push(event),
            Said::Ended(answers) => {
                self.lanes[lane].ended = Some(answers);
                while self.lanes.get(self.front).is_some_and(|lane| lane.ended.is_some()) {
                    self.front += 1;
                    if let Some(next) = self.lanes.get_mut(self.front) {
                        next.held.drain(..).try_for_each(|event| link.send(&event))?;
                    }
                }
            }
        }
        // A run that is stopped before it begins is not answered.
        if self.begun && self.front == self.lanes.len() {
            let outcome = self.conclude(images, link);
            tell(run, Told::Ended(outcome))?;
        }
        Ok(())
    }

    /// How the run ended, of which all lanes have.
    fn conclude(&mut self, images: &Images<'_>, link: &Link<'_>) -> Result<Outcome, Halt> {
        let mut models = Vec::new();
        for (lane, heard) in self.task.lanes.iter().zip(&mut self.lanes) {
            let answers = heard.ended.take().unwrap_or(Err(Halt::Stopped));
            let answers = answers.map_err(|halt| lane.halt(halt))?;
            let logits = |numbers: &[f32]| {
                Tensor::f_from_slice(numbers)?.f_reshape([-1, self.task.loss.logits()])
            };
            let validation = match answers.validation {
                Some((numbers, images)) => Some((logits(&numbers)?, images)),
                None => None,
            };
            let test = answers.test.as_deref().map(logits).transpose()?;
            models.push(Trained { fold: lane.source.fold, fit: answers.fit, validation, test });
        }
        let sets = self.task.sets(images, Device::Cpu)?;
        self.task.conclude(&sets, models, images, link)
    }
}

/// The features of images as the kernel reads them.
fn material(images: &Images<'_>) -> Result<Material, TchError> {
    let validation = match &images.validation {
        Some(read) => Some((table(&read.inputs)?, read.set.folder.labels().unwrap_or_default())),
        None => None,
    };
    let (training, themselves) = match &images.augmented {
        Some(Augmented::Kept { inputs, .. }) => {
            (table(inputs)?, Some(table(&images.train.inputs)?))
        }
        // Views that are drawn in every step are no matter of lanes.
        Some(Augmented::Drawn(_)) | None => (table(&images.train.inputs)?, None),
    };
    Ok(Material {
        training,
        images: themselves,
        labels: images.labels.clone(),
        validation,
        test: images.test.as_ref().map(|read| table(&read.inputs)).transpose()?,
    })
}

/// Of features `[images, features]`, on whatever device.
fn table(features: &Tensor) -> Result<Table, TchError> {
    let [rows, width] = [0, 1].map(|at| features.size()[at]);
    let mut table = Table::zeros(rows as usize, width as usize);
    let mut row = vec![0f32; width as usize];
    let features = features.f_to_device(Device::Cpu)?;
    for at in 0..rows {
        features.f_select(0, at)?.f_copy_data(&mut row, width as usize)?;
        table.fill(at as usize, &row);
    }
    Ok(table)
}
