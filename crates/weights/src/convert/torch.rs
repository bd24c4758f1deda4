//! What `torch.save` writes: since PyTorch 1.6 a zip archive with a pickle and one member for each
//! storage, before that a sequence of pickles and then the storages. Both are described by the code
//! that writes them, <https://github.com/pytorch/pytorch/blob/main/torch/serialization.py>.

use std::collections::HashSet;

use safetensors::Dtype;

use super::pickle::{self, Pickle, PickleError, Storage, Strided, Value};
use super::zip::{Archive, ZipError};
use super::{Budget, Tensor, Tensors};

/// A checkpoint that is refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TorchError {
    #[error(transparent)]
    Zip(#[from] ZipError),
    #[error(transparent)]
    Pickle(#[from] PickleError),
    #[error(
        "it is a zip archive of something else: neither data.pkl nor model.weights.h5 is in it"
    )]
    NoPickle,
    #[error("it was not written on a little-endian machine")]
    ByteOrder,
    #[error("it has another protocol than the one that PyTorch has always written")]
    Protocol,
    #[error("it holds no state dict; save `model.state_dict()`")]
    NoStateDict,
    #[error("it holds something that is no tensor under {0:?}")]
    NoTensor(String),
    #[error("it lacks storage {0:?}")]
    NoStorage(String),
    #[error("it lists other storages than its tensors use")]
    OtherStorages,
    #[error("storage {key:?} has {found} bytes, and its tensors expect {expected}")]
    StorageSize { key: String, found: usize, expected: usize },
    #[error("it is cut short: storage {0:?} reaches beyond its end")]
    Short(String),
    #[error("{name} reaches beyond its storage")]
    Outside { name: String },
    #[error("its tensors take more memory than any weights do, up to {name}")]
    TooLarge { name: String },
}

const LEGACY_MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const LEGACY_PROTOCOL: i128 = 1001;

/// Whether `bytes` begin as legacy checkpoints do: with a pickle of a certain number.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(32)];
    pickle::read(start).is_ok_and(|pickle| *pickle.top() == Value::Int(LEGACY_MAGIC))
}

pub(super) fn read_zip(mut archive: Archive<'_>) -> Result<Tensors, TorchError> {
    let members = archive.members();
    let is_pickle = |name: &&String| name.ends_with("/data.pkl") && name.matches('/').count() == 1;
    let mut pickles = members.keys().filter(is_pickle);
    let (Some(name), None) = (pickles.next(), pickles.next()) else {
        return Err(TorchError::NoPickle);
    };
    let folder = name.trim_end_matches("data.pkl");
    if let Some(&order) = members.get(&format!("{folder}byteorder"))
        && archive.read(order)? != b"little"
    {
        return Err(TorchError::ByteOrder);
    }
    let pickle = pickle::read(&archive.read(members[name])?)?;
    let storages = pickle.storages.iter().map(|storage| {
        let member = members.get(&format!("{folder}data/{}", storage.key));
        let bytes =
            archive.read(*member.ok_or_else(|| TorchError::NoStorage(storage.key.clone()))?)?;
        match bytes_of(storage) {
            Some(expected) if expected == bytes.len() => Ok(bytes),
            expected => Err(TorchError::StorageSize {
                key: storage.key.clone(),
                found: bytes.len(),
                expected: expected.unwrap_or(usize::MAX),
            }),
        }
    });
    let storages: Vec<Vec<u8>> = storages.collect::<Result<_, _>>()?;
    state_dict(&pickle, &storages)
}

pub(super) fn read_legacy(bytes: &[u8]) -> Result<Tensors, TorchError> {
    let mut rest = bytes;
    let mut next = || -> Result<Pickle, PickleError> {
        let pickle = pickle::read(rest)?;
        rest = &rest[pickle.length..];
        Ok(pickle)
    };
    let (_magic, protocol, system) = (next()?, next()?, next()?);
    if *protocol.top() != Value::Int(LEGACY_PROTOCOL) {
        return Err(TorchError::Protocol);
    }
    if system.get(system.top(), "little_endian") != Some(&Value::Bool(true)) {
        return Err(TorchError::ByteOrder);
    }
    let (pickle, keys) = (next()?, next()?);
    let Value::List(order) = keys.top() else { return Err(TorchError::OtherStorages) };
    let order: Vec<&str> = order
        .iter()
        .map(|&key| match &keys.values[key] {
            Value::Text(key) => Ok(key.as_str()),
            _ => Err(TorchError::OtherStorages),
        })
        .collect::<Result<_, _>>()?;
    let known: HashSet<&str> = pickle.storages.iter().map(|storage| storage.key.as_str()).collect();
    if order.len() != known.len() || !order.iter().all(|key| known.contains(key)) {
        return Err(TorchError::OtherStorages);
    }
    let mut storages: Vec<&[u8]> = vec![&[]; pickle.storages.len()];
    for key in order {
        let Some(place) = pickle.storages.iter().position(|storage| storage.key == key) else {
            return Err(TorchError::OtherStorages);
        };
        let storage = &pickle.storages[place];
        let short = || TorchError::Short(key.to_owned());
        let (count, data) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        if u64::from_le_bytes(*count) != storage.elements as u64 {
            return Err(TorchError::OtherStorages);
        }
        let bytes = bytes_of(storage).ok_or_else(short)?;
        (storages[place], rest) = data.split_at_checked(bytes).ok_or_else(short)?;
    }
    state_dict(&pickle, &storages)
}

fn bytes_of(storage: &Storage) -> Option<usize> {
    storage.elements.checked_mul(size_of(storage.dtype))
}

/// Bytes of an element; all types of storages have whole ones.
fn size_of(dtype: Dtype) -> usize {
    dtype.bitsize() / 8
}

/// The tensors of a checkpoint, which may keep them under `state_dict`.
fn state_dict<B: AsRef<[u8]>>(pickle: &Pickle, storages: &[B]) -> Result<Tensors, TorchError> {
    let top = pickle.top();
    let dict = match pickle.get(top, "state_dict") {
        Some(inner @ Value::Dict(_)) => inner,
        _ => top,
    };
    let Value::Dict(items) = dict else { return Err(TorchError::NoStateDict) };
    let mut tensors = Tensors::new();
    let mut budget = Budget::new();
    for &(name, value) in items {
        let Value::Text(name) = &pickle.values[name] else { return Err(TorchError::NoStateDict) };
        let Value::Tensor(view) = &pickle.values[value] else {
            return Err(TorchError::NoTensor(name.clone()));
        };
        let (storage, bytes) = (&pickle.storages[view.storage], storages[view.storage].as_ref());
        let size = size_of(storage.dtype);
        if !fits(view, storage.elements) {
            return Err(TorchError::Outside { name: name.clone() });
        }
        let length = budget.take(&view.shape, size);
        let length = length.ok_or_else(|| TorchError::TooLarge { name: name.clone() })?;
        let mut data = Vec::with_capacity(length);
        if length > 0 {
            gather(bytes, size, view.offset, &view.shape, &view.strides, &mut data);
        }
        let tensor = Tensor { dtype: storage.dtype, shape: view.shape.clone(), data };
        tensors.insert(name.clone(), tensor);
    }
    Ok(tensors)
}

/// Whether every element of `view` lies in a storage of so many elements.
fn fits(view: &Strided, elements: usize) -> bool {
    if view.shape.contains(&0) {
        return true;
    }
    let last = view.shape.iter().zip(&view.strides).try_fold(view.offset, |at, (size, stride)| {
        at.checked_add((size - 1).checked_mul(*stride)?)
    });
    last.is_some_and(|last| last < elements)
}

/// Appends the elements of a view in row-major order.
fn gather(
    from: &[u8],
    size: usize,
    offset: usize,
    shape: &[usize],
    strides: &[usize],
    to: &mut Vec<u8>,
) {
    match is_row_major(shape, strides) {
        Some(elements) => to.extend(&from[offset * size..(offset + elements) * size]),
        None => {
            for index in 0..shape[0] {
                gather(from, size, offset + index * strides[0], &shape[1..], &strides[1..], to);
            }
        }
    }
}

/// How many elements a view has, if they lie one after another.
fn is_row_major(shape: &[usize], strides: &[usize]) -> Option<usize> {
    shape.iter().zip(strides).rev().try_fold(1, |elements, (&size, &stride)| {
        (size == 1 || stride == elements).then_some(elements * size)
    })
}
