//! Checkpoints: the state of a fit on disk, so that a run which is interrupted goes on from there.
//!
//! A file appears whole: it is written aside, synced and renamed. It belongs to one run and fold; what is
//! no intact file of theirs is as good as none, and one that cannot be written is no reason to stop. In it
//! is everything that the next steps depend on, but streams of random numbers: those hang on the seed, and
//! how far they have come follows from the steps taken. So whoever goes on has the numbers that he would
//! have had without an interruption, to the last bit on the same kind of device.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use spec::paths::CheckpointsDir;
use spec::protocol::{Checkpoints, RunOrder};
use spec::run_id::RunId;
use spec::sweep::CheckpointEvery;
use tch::{Device, Kind, TchError, Tensor};

use crate::course::{Course, Standing};
use crate::lane::Lane;
use crate::link::{Halt, Link};
use crate::model::{Counters, Model, Snapshot};

/// Version of these files. Others are as good as none.
const VERSION: u32 = 1;
/// What is no tensor.
const STATE: &str = "state";
const CHECKSUM: &str = "blake3";
/// Of a run with several folds one that has ended is kept where it took so great a share of the time
/// between two checkpoints.
const WORTH_KEEPING: u32 = 10;

/// Where the fits of a run are kept, and when.
#[derive(Debug)]
pub struct Keeper<'a> {
    wanted: Option<&'a Checkpoints>,
    /// How many fits the run has.
    fits: usize,
    /// When the last one was kept.
    last: Instant,
    /// Epochs since then.
    epochs: u32,
    /// Whether it was said that nothing can be kept.
    said: bool,
}

/// What was kept of a fit.
#[derive(Debug)]
pub struct Kept {
    /// How far it is.
    pub standing: Standing,
    /// Whether no epoch is left.
    pub over: bool,
    /// The weights to restore at the end.
    pub best: Option<Snapshot>,
}

/// What is no tensor.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    version: u32,
    run: RunId,
    fold: Option<u32>,
    over: bool,
    best: bool,
    standing: Standing,
    counters: Counters,
}

/// Why there is no checkpoint.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Torch(#[from] TchError),
    #[error(transparent)]
    Format(#[from] safetensors::SafeTensorError),
    #[error(transparent)]
    State(#[from] ciborium::ser::Error<io::Error>),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<'a> Keeper<'a> {
    /// Keeps the fits of `order`, of which there are so many, as it is wanted: nowhere where it is not.
    pub fn new(wanted: Option<&'a Checkpoints>, fits: usize) -> Self {
        Self { wanted, fits, last: Instant::now(), epochs: 0, said: false }
    }

    /// Takes `model` to where an earlier attempt at this fit left it, if it left anything.
    ///
    /// # Errors
    /// When nobody takes an event, or libtorch fails.
    pub fn find(
        &self,
        lane: &Lane<'_>,
        model: &mut Model<'_>,
        link: &Link<'_>,
    ) -> Result<Option<Kept>, Halt> {
        let Some(file) = self.file(lane) else { return Ok(None) };
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                lane.note(format!("begins anew, without its checkpoint: {error}"), link)?;
                return Ok(None);
            }
        };
        match parse(&bytes, lane, model) {
            Ok((State { over, standing, counters, .. }, tensors, best)) => {
                model.resume(&tensors, counters)?;
                let epoch = standing.epochs();
                lane.note(format!("goes on after epoch {epoch}, from a checkpoint"), link)?;
                Ok(Some(Kept { standing, over, best: best.map(Snapshot::of) }))
            }
            Err(why) => {
                let file = file.display();
                lane.note(format!("begins anew: the checkpoint {file} is none: {why}"), link)?;
                Ok(None)
            }
        }
    }

    /// An epoch has ended: keeps the fit, if it is time to.
    ///
    /// # Errors
    /// When nobody takes an event. That nothing could be kept is none: it is said once.
    pub fn epoch(
        &mut self,
        course: &Course<'_>,
        model: &Model<'_>,
        best: Option<&Snapshot>,
        over: bool,
        link: &Link<'_>,
    ) -> Result<(), Halt> {
        self.epochs += 1;
        let lane = course.lane();
        let Some(file) = self.file(lane).filter(|_| self.is_due(over)) else { return Ok(()) };
        let state = State {
            version: VERSION,
            run: lane.run,
            fold: lane.source.fold,
            over,
            best: best.is_some(),
            standing: course.standing(),
            counters: model.counters(),
        };
        if let Err(error) = write(&file, &state, model, best)
            && !std::mem::replace(&mut self.said, true)
        {
            lane.note(format!("cannot be kept, and goes on without a checkpoint: {error}"), link)?;
        }
        (self.last, self.epochs) = (Instant::now(), 0);
        Ok(())
    }

    /// Whether a fit is to be kept after an epoch, which may have been its last.
    fn is_due(&self, over: bool) -> bool {
        let Some(Checkpoints { every, .. }) = self.wanted else { return false };
        // What comes after the last epoch of a run takes a moment.
        if over && self.fits == 1 {
            return false;
        }
        match *every {
            CheckpointEvery::Epochs(epochs) => over || self.epochs >= epochs.get(),
            CheckpointEvery::Seconds(seconds) => {
                let every = Duration::from_secs(seconds.get());
                self.last.elapsed() >= if over { every / WORTH_KEEPING } else { every }
            }
        }
    }

    fn file(&self, lane: &Lane<'_>) -> Option<PathBuf> {
        let Checkpoints { folder, .. } = self.wanted?;
        Some(CheckpointsDir::new(folder).file(lane.run, lane.source.fold))
    }
}

/// Where runs keep what outlives them.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Features.
    pub cache: &'a Path,
    /// The state of long runs; absent: nowhere.
    pub checkpoints: Option<&'a Checkpoints>,
}

impl<'a> From<&'a Path> for Places<'a> {
    /// Features alone.
    fn from(cache: &'a Path) -> Self {
        Self { cache, checkpoints: None }
    }
}

/// How many fits a run has.
pub(crate) fn keeper<'a>(places: Places<'a>, order: &RunOrder) -> Keeper<'a> {
    use spec::config::Validation;
    let fits = match order.config.data.validation {
        Validation::Folds(folds) => folds as usize,
        Validation::None | Validation::Fraction(_) | Validation::Folder(_) => 1,
    };
    Keeper::new(places.checkpoints, fits)
}

/// The names of a model's tensors, and of those to restore.
fn names(count: usize, best: usize) -> impl Iterator<Item = String> {
    let named = |what: &'static str| move |number| format!("{what} {number}");
    (0..count).map(named("tensor")).chain((0..best).map(named("best")))
}

fn write(
    file: &Path,
    state: &State,
    model: &Model<'_>,
    best: Option<&Snapshot>,
) -> Result<(), KeepError> {
    let tensors = model.tensors();
    let best = best.map_or(&[][..], Snapshot::tensors);
    let mut encoded = Vec::new();
    ciborium::into_writer(state, &mut encoded)?;
    let mut pieces = Vec::new();
    for (name, tensor) in names(tensors.len(), best.len()).zip(tensors.iter().chain(best)) {
        let (shape, data) = bytes_of(tensor)?;
        pieces.push((name, shape, data));
    }
    let mut checksum = blake3::Hasher::new();
    checksum.update(&encoded);
    pieces.iter().for_each(|(_, _, data)| _ = checksum.update(data));
    let checksum = checksum.finalize().to_hex().to_string();
    let metadata = HashMap::from([(CHECKSUM.to_owned(), checksum)]);
    let mut views = vec![(STATE, TensorView::new(Dtype::U8, vec![encoded.len()], &encoded)?)];
    for (name, shape, data) in &pieces {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), data)?));
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let aside = file.with_extension("part");
    let written = put(views, metadata, &aside, file);
    if written.is_err() {
        // What fills a full disk should not stay.
        let _ = fs::remove_file(&aside);
    }
    written
}

fn put(
    views: Vec<(&str, TensorView<'_>)>,
    metadata: HashMap<String, String>,
    aside: &Path,
    file: &Path,
) -> Result<(), KeepError> {
    safetensors::serialize_to_file(views, Some(metadata), aside)?;
    fs::File::open(aside)?.sync_all()?;
    Ok(fs::rename(aside, file)?)
}

/// Shape and bytes of a tensor of 32-bit floats.
fn bytes_of(tensor: &Tensor) -> Result<(Vec<usize>, Vec<u8>), TchError> {
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
    let tensor = tensor.f_contiguous()?;
    let mut data = vec![0; tensor.numel() * size_of::<f32>()];
    tensor.f_copy_data_u8(&mut data, tensor.numel())?;
    Ok((tensor.size().iter().map(|&size| size as usize).collect(), data))
}

/// What is in a file, if it is an intact one of this fit; else what is wrong with it.
#[expect(clippy::type_complexity, reason = "told apart at once")]
fn parse(
    bytes: &[u8],
    lane: &Lane<'_>,
    model: &Model<'_>,
) -> Result<(State, Vec<Tensor>, Option<Vec<Tensor>>), String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let encoded = file.tensor(STATE).map_err(|error| error.to_string())?.data();
    let state: State = ciborium::from_reader(encoded).map_err(|error| error.to_string())?;
    if (state.version, state.run, state.fold) != (VERSION, lane.run, lane.source.fold) {
        return Err("it is of another version, run or fold".to_owned());
    }
    let expected = model.tensors();
    let kept = if state.best { model.weights() } else { Vec::new() };
    let mut checksum = blake3::Hasher::new();
    checksum.update(encoded);
    let mut tensors = Vec::new();
    for (name, like) in names(expected.len(), kept.len()).zip(expected.iter().chain(&kept)) {
        let view = file.tensor(&name).map_err(|error| error.to_string())?;
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        if view.dtype() != Dtype::F32 || shape != like.size() {
            return Err(format!("{name} has the shape {shape:?}, not {:?}", like.size()));
        }
        checksum.update(view.data());
        let tensor = Tensor::f_from_data_size(view.data(), &shape, Kind::Float);
        let tensor = tensor.and_then(|tensor| tensor.f_to_device(like.device()));
        tensors.push(tensor.map_err(|error| error.to_string())?);
    }
    let written = header.metadata().as_ref().and_then(|metadata| metadata.get(CHECKSUM));
    if written.map(String::as_str) != Some(checksum.finalize().to_hex().as_str()) {
        return Err("its checksum does not match".to_owned());
    }
    let best = tensors.split_off(expected.len());
    let best = state.best.then_some(best);
    Ok((state, tensors, best))
}
