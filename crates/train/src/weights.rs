//! A backbone's tensors: read from a safetensors file, all of them and nothing else, or drawn.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use spec::config;
use tch::{Device, Kind, TchError, Tensor};

use crate::backbones::Backbone;
use crate::graph::{LayerIndex, Layout, Role, TensorSpec};
use crate::random::{self, Purpose};

/// The tensors of each layer of a graph.
#[derive(Debug)]
pub struct Weights {
    layers: Vec<LayerWeights>,
    layout: Layout,
    device: Device,
}

/// The tensors of a layer, kernels in PyTorch's order, `[output, input / groups, height, width]`.
#[derive(Debug, Default, PartialEq)]
pub struct LayerWeights(Vec<(Role, Tensor)>);

impl LayerWeights {
    /// The tensor of that role. Which there are depends on the layer, and on where its weights come
    /// from: Keras's Inception-ResNet-v2 has no scales, timm's has.
    pub fn get(&self, role: Role) -> Option<&Tensor> {
        self.0.iter().find(|(of, _)| *of == role).map(|(_, tensor)| tensor)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Role, &Tensor)> {
        self.0.iter().map(|(role, tensor)| (*role, tensor))
    }

    /// Other handles of the same tensors.
    pub fn share(&self) -> Self {
        Self(self.iter().map(|(role, tensor)| (role, tensor.shallow_clone())).collect())
    }

    /// Those that gradients change.
    pub fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        self.iter().filter(|(role, _)| role.is_parameter()).map(|(_, tensor)| tensor)
    }
}

impl From<Vec<(Role, Tensor)>> for LayerWeights {
    fn from(tensors: Vec<(Role, Tensor)>) -> Self {
        Self(tensors)
    }
}

/// A weights file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// It cannot be read.
    #[error("the weights cannot be read")]
    Read(#[source] std::io::Error),
    /// It is no safetensors file.
    #[error("{path} is no intact safetensors file")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: safetensors::SafeTensorError,
    },
    /// It is another file than the run was planned with.
    #[error(
        "{path} has changed since the run was planned: give the same command again, and runs are \
         planned with the file as it is"
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Its tensors are not those of the backbone.
    #[error(
        "{path} does not hold the weights of this backbone, with {}'s names{}:\n  {}",
        layout.name(), belongs(*owner), problems.join("\n  ")
    )]
    Tensors {
        /// The file.
        path: PathBuf,
        /// What it was read as.
        layout: Layout,
        /// The network that it holds in its place, where it is a known one.
        owner: Option<config::Backbone>,
        /// One line for each missing, unknown, misshapen or broken tensor.
        problems: Vec<String>,
    },
    /// libtorch failed.
    #[error(transparent)]
    Torch(#[from] TchError),
}

fn belongs(owner: Option<config::Backbone>) -> String {
    let known = |owner: config::Backbone| {
        let name = owner.name();
        format!(", but those of {name} (`sweep weights list` tells where to get which)")
    };
    owner.map(known).unwrap_or_default()
}

/// How many problems are worth reading.
const MOST_PROBLEMS: usize = 12;

impl Weights {
    /// Reads the tensors of `backbone` from a safetensors file of 32-bit floats.
    ///
    /// # Errors
    /// When a tensor is missing, unknown (the original classifier and PyTorch's `num_batches_tracked`
    /// may be there), has another shape or type, or holds a number that is not finite: one error lists
    /// them all. A network that is quietly another one is worse than none.
    pub fn read(backbone: &Backbone, path: &Path, device: Device) -> Result<Self, WeightsError> {
        Self::parse(backbone, path, &fs_err::read(path).map_err(WeightsError::Read)?, device)
    }

    /// The same, of a file whose content has the BLAKE3 hash `fingerprint`. What is read is what is
    /// hashed, so that no result or cached feature goes by the name of other weights.
    ///
    /// # Errors
    /// Also when the content is another one.
    pub fn read_planned(
        backbone: &Backbone,
        path: &Path,
        fingerprint: &str,
        device: Device,
    ) -> Result<Self, WeightsError> {
        let bytes = fs_err::read(path).map_err(WeightsError::Read)?;
        if blake3::hash(&bytes).to_hex().as_str() != fingerprint {
            return Err(WeightsError::Changed { path: path.to_owned() });
        }
        Self::parse(backbone, path, &bytes, device)
    }

    fn parse(
        backbone: &Backbone,
        path: &Path,
        bytes: &[u8],
        device: Device,
    ) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|source| WeightsError::Format { path: path.to_owned(), source })?;
        let layout = backbone.layout_of(file.iter().map(|(name, _)| name));
        let mut unused: BTreeMap<_, _> = file.iter().collect();
        let mut problems = Vec::new();
        let mut layers = Vec::new();
        for layer in backbone.graph.layers() {
            let mut tensors = Vec::new();
            for spec in layer.tensors(layout) {
                let Some(view) = unused.remove(spec.name.as_str()) else {
                    problems.push(format!("{} is missing", spec.name));
                    continue;
                };
                match values(&spec, &view) {
                    Ok(values) => tensors.push((spec.role, to_device(&spec, &values, device)?)),
                    Err(problem) => problems.push(problem),
                }
            }
            layers.push(LayerWeights(tensors));
        }
        let ignored = |name: &str| {
            backbone.files.classifiers.iter().any(|classifier| name.starts_with(classifier))
                || name.ends_with(".num_batches_tracked")
        };
        problems.extend(
            unused
                .keys()
                .filter(|name| !ignored(name))
                .map(|name| format!("{name} belongs to no layer")),
        );
        if problems.is_empty() {
            return Ok(Self { layers, layout, device });
        }
        let more = problems.len().saturating_sub(MOST_PROBLEMS);
        problems.truncate(MOST_PROBLEMS);
        if more > 0 {
            problems.push(format!("and {more} more"));
        }
        let names: HashSet<&str> = file.iter().map(|(name, _)| name).collect();
        let owner = Backbone::owner_of(&names).filter(|_| more > 0);
        Err(WeightsError::Tensors { path: path.to_owned(), layout, owner, problems })
    }

    /// Draws the tensors of `backbone`: kernels from He et al.'s normal distribution, which keeps the
    /// activations' size (<https://arxiv.org/abs/1502.01852>, equation 10), normalisations as identity.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn draw(backbone: &Backbone, seed: u64, device: Device) -> Result<Self, TchError> {
        let mut rng = random::stream(seed, Purpose::Backbone);
        let layout = backbone.layout_of([]);
        let mut draw = |spec: &TensorSpec| {
            let count = spec.count();
            match spec.role {
                Role::Kernel => {
                    random::normal(&mut rng, (2.0 / spec.fan_in() as f64).sqrt(), count)
                }
                Role::Scale | Role::RunningVariance => vec![1.0; count],
                Role::Bias | Role::Shift | Role::RunningMean => vec![0.0; count],
            }
        };
        let mut layers = Vec::new();
        for layer in backbone.graph.layers() {
            let tensors = layer
                .tensors(layout)
                .into_iter()
                .map(|spec| Ok((spec.role, to_device(&spec, &draw(&spec), device)?)));
            layers.push(LayerWeights(tensors.collect::<Result<_, TchError>>()?));
        }
        Ok(Self { layers, layout, device })
    }

    /// A layer's tensors.
    pub fn layer(&self, index: LayerIndex) -> &LayerWeights {
        &self.layers[index]
    }

    /// Whose they are: of the backbone as Keras or as PyTorch has it.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Where the tensors lie.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Bytes that the tensors take.
    pub fn bytes(&self) -> usize {
        self.layers
            .iter()
            .flat_map(LayerWeights::iter)
            .map(|(_, tensor)| tensor.numel() * tensor.kind().elt_size_in_bytes())
            .sum()
    }

    /// The same weights as numbers of that kind, such as 64-bit ones to compare networks without rounding.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn to_kind(&self, kind: Kind) -> Result<Self, TchError> {
        let converted = |layer: &LayerWeights| {
            let tensors = layer.iter().map(|(role, tensor)| Ok((role, tensor.f_to_kind(kind)?)));
            tensors.collect::<Result<_, TchError>>().map(LayerWeights)
        };
        Ok(Self { layers: self.layers.iter().map(converted).collect::<Result<_, _>>()?, ..*self })
    }

    /// The same weights, but those from layer `from` on are copies that training may change.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn with_own_copy(&self, from: LayerIndex) -> Result<Self, TchError> {
        let mut layers = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let tensors = layer.iter().map(|(role, tensor)| {
                let copy =
                    if index < from { tensor.shallow_clone() } else { tensor.f_detach_copy()? };
                Ok((role, copy))
            });
            layers.push(LayerWeights(tensors.collect::<Result<_, TchError>>()?));
        }
        Ok(Self { layers, ..*self })
    }
}

/// The numbers of a tensor in a file, or what is wrong with them.
fn values(
    spec: &TensorSpec,
    view: &safetensors::tensor::TensorView<'_>,
) -> Result<Vec<f32>, String> {
    let name = &spec.name;
    if view.dtype() != Dtype::F32 {
        return Err(format!("{name} holds {:?}, where 32-bit floats are expected", view.dtype()));
    }
    let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    if shape != spec.shape {
        return Err(format!("{name} has shape {shape:?}, where {:?} is expected", spec.shape));
    }
    let values: Vec<f32> =
        view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(format!("{name} holds {} at position {at}", values[at])),
        None => Ok(values),
    }
}

fn to_device(spec: &TensorSpec, values: &[f32], device: Device) -> Result<Tensor, TchError> {
    let tensor = Tensor::f_from_slice(values)?.f_reshape(&spec.shape)?.f_to_device(device)?;
    if spec.role != Role::Kernel {
        return Ok(tensor);
    }
    // In the memory order of the images that pass through it (see `Preprocessing::apply`).
    let channels_last = match spec.layout {
        Layout::Torch => tensor.f_permute([0, 2, 3, 1])?,
        Layout::Keras => tensor.f_permute([3, 0, 1, 2])?,
    };
    channels_last.f_contiguous()?.f_permute([0, 3, 1, 2])
}
