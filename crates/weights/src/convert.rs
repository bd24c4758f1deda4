//! Checkpoints of PyTorch and Keras as safetensors files.
//!
//! Whatever a checkpoint claims, reading it runs no code of its own and takes no more memory than a
//! small multiple of [`MOST_BYTES`]. The same checkpoint always gives the same bytes.

mod hdf5;
mod keras;
mod pickle;
mod torch;
mod zip;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensorError, View};

use crate::inspect::{self, Contents, InspectError};
use crate::{MOST_BYTES, aside};

pub use hdf5::Hdf5Error;
pub use keras::KerasError;
pub use pickle::PickleError;
pub use torch::TorchError;
pub use zip::ZipError;

/// A checkpoint that cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// It cannot be read, or what was written is not sound.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// It is in no format that is known here.
    #[error("{} is neither a PyTorch checkpoint nor a Keras file (.h5, .keras)", path.display())]
    Unknown {
        /// The checkpoint.
        path: PathBuf,
    },
    /// It is a safetensors file already.
    #[error("{} is a safetensors file already", path.display())]
    Already {
        /// The file.
        path: PathBuf,
    },
    /// It is none that PyTorch's `torch.save` writes.
    #[error("{}: {cause}", path.display())]
    Torch {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        cause: TorchError,
    },
    /// It is none that Keras writes.
    #[error("{}: {cause}", path.display())]
    Keras {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        cause: KerasError,
    },
    /// The result cannot be written.
    #[error("{} cannot be written: {cause}", path.display())]
    Write {
        /// The result.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The result would be no safetensors file.
    #[error("{} cannot become a safetensors file: {cause}", path.display())]
    Format {
        /// The checkpoint.
        path: PathBuf,
        /// Why.
        cause: SafeTensorError,
    },
}

/// The tensors of a checkpoint by name.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

/// Numbers in row-major order, little-endian.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// Bytes that tensors may still take.
#[derive(Debug)]
pub(crate) struct Budget(u64);

impl Budget {
    fn new() -> Self {
        Self(MOST_BYTES)
    }

    /// Takes the bytes of `shape`, and says how many they are; none when they are too many.
    fn take(&mut self, shape: &[usize], element: usize) -> Option<usize> {
        let bytes = shape.iter().try_fold(element, |bytes, &size| bytes.checked_mul(size))?;
        self.0 = self.0.checked_sub(bytes as u64)?;
        Some(bytes)
    }
}

/// Writes the tensors of the checkpoint `from` to the safetensors file `to`, which appears whole and
/// checked or not at all, in a folder that is made where it is missing. The format is recognised by content, not by name.
///
/// From PyTorch the names are those of the state dict, from Keras `<layer>/<variable>`; types, shapes
/// and memory order are kept.
///
/// # Errors
/// When `from` cannot be read, holds anything but tensors of finite numbers, or `to` cannot be
/// written.
pub fn convert(from: &Path, to: &Path) -> Result<Contents, ConvertError> {
    let bytes = inspect::read(from)?;
    let tensors = tensors(from, bytes)?;
    // What readers of PyTorch's expect in a file that they may load.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(&tensors, Some(metadata))
        .map_err(|cause| ConvertError::Format { path: from.to_owned(), cause })?;
    drop(tensors);
    let write = |cause| ConvertError::Write { path: to.to_owned(), cause };
    if let Some(folder) = to.parent() {
        fs_err::create_dir_all(folder).map_err(write)?;
    }
    let aside = aside::Aside::of(to);
    let mut file = fs_err::File::create(aside.path()).map_err(write)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(write)?;
    let contents = inspect::inspect(aside.path())?;
    aside.keep().map_err(write)?;
    Ok(contents)
}

fn tensors(path: &Path, bytes: Vec<u8>) -> Result<Tensors, ConvertError> {
    const SUPERBLOCK: &[u8] = b"\x89HDF\r\n\x1a\n";
    let torch = |cause| ConvertError::Torch { path: path.to_owned(), cause };
    let keras = |cause| ConvertError::Keras { path: path.to_owned(), cause };
    if bytes.starts_with(SUPERBLOCK) {
        keras::read(bytes).map_err(keras)
    } else if bytes.starts_with(b"PK") {
        let archive = zip::Archive::open(&bytes).map_err(|error| torch(error.into()))?;
        match archive.find(keras::MEMBER) {
            Some(_) => keras::read_archive(archive).map_err(keras),
            None => torch::read_zip(archive).map_err(torch),
        }
    } else if torch::is_legacy(&bytes) {
        torch::read_legacy(&bytes).map_err(torch)
    } else if safetensors::SafeTensors::deserialize(&bytes).is_ok() {
        Err(ConvertError::Already { path: path.to_owned() })
    } else {
        Err(ConvertError::Unknown { path: path.to_owned() })
    }
}
