//! What is in a safetensors file, every byte of it read. Format:
//! <https://huggingface.co/docs/safetensors>

use std::io::Read as _;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use sha2::{Digest as _, Sha256};

use crate::MOST_BYTES;

/// What an intact file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Bytes of the file.
    pub bytes: u64,
    /// Tensors.
    pub tensors: usize,
    /// Numbers in all tensors together: parameters, running statistics and counters alike, which a
    /// file does not tell apart.
    pub numbers: u64,
    /// Hash of the file, 64 hexadecimal digits; what the hub and `sha256sum` say.
    pub sha256: String,
    /// Hash of the file, 64 hexadecimal digits; what names the weights in a run's identity.
    pub blake3: String,
}

/// A file that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// It is larger than [`MOST_BYTES`].
    #[error("{} has {bytes} bytes; no weights file is larger than {MOST_BYTES}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It is no safetensors file, or not all of one.
    #[error("{} is no intact safetensors file: {cause}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: SafeTensorError,
    },
    /// It holds no tensors.
    #[error("{} holds no tensors", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It holds an infinity or something that is no number.
    #[error(
        "{} holds a number that is not finite: {tensor}, element {element}", path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The first such element, counted from 0 in row-major order.
        element: usize,
    },
}

/// Reads a safetensors file to its end and checks it.
///
/// # Errors
/// When it cannot be read, is cut short or malformed, or holds a number that is not finite.
pub fn inspect(path: &Path) -> Result<Contents, InspectError> {
    let bytes = read(path)?;
    let format = |cause| InspectError::Format { path: path.to_owned(), cause };
    let file = SafeTensors::deserialize(&bytes).map_err(format)?;
    let mut numbers = 0;
    let mut names = file.names();
    names.sort_unstable();
    for name in &names {
        let view = file.tensor(name).map_err(format)?;
        if let Some(element) = first_not_finite(&view) {
            let (path, tensor) = (path.to_owned(), (*name).to_owned());
            return Err(InspectError::NotFinite { path, tensor, element });
        }
        // The product fits: the reader has compared it with the bytes that are there.
        numbers += view.shape().iter().product::<usize>() as u64;
    }
    if names.is_empty() {
        return Err(InspectError::Empty { path: path.to_owned() });
    }
    Ok(Contents {
        bytes: bytes.len() as u64,
        tensors: names.len(),
        numbers,
        sha256: sha256(&bytes),
        blake3: blake3::hash(&bytes).to_hex().to_string(),
    })
}

/// The whole of a file that is not too large for weights.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, InspectError> {
    let file = fs_err::File::open(path)?;
    let bytes = file.metadata()?.len();
    let too_large = |bytes| InspectError::TooLarge { path: path.to_owned(), bytes };
    if bytes > MOST_BYTES {
        return Err(too_large(bytes));
    }
    // A device or a pipe has no size, and no end either.
    let mut content = Vec::with_capacity(bytes as usize);
    file.take(MOST_BYTES + 1).read_to_end(&mut content)?;
    match content.len() as u64 {
        bytes if bytes > MOST_BYTES => Err(too_large(bytes)),
        _ => Ok(content),
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn first_not_finite(view: &TensorView<'_>) -> Option<usize> {
    let data = view.data();
    // A number is infinite or none when all bits of its exponent are set.
    let halves = |exponent: u16| {
        let halves = data.as_chunks().0.iter();
        halves.map(|half| u16::from_le_bytes(*half)).position(|half| half & exponent == exponent)
    };
    match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().position(|b| !f32::from_le_bytes(*b).is_finite()),
        Dtype::F64 => data.as_chunks().0.iter().position(|b| !f64::from_le_bytes(*b).is_finite()),
        Dtype::F16 => halves(0x7c00),
        Dtype::BF16 => halves(0x7f80),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn of(bytes: &[u8]) -> Result<Contents, InspectError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        fs_err::write(&path, bytes).unwrap();
        inspect(&path)
    }

    fn said(bytes: &[u8]) -> String {
        let text = of(bytes).unwrap_err().to_string();
        text.split_once("w.safetensors ").unwrap().1.to_owned()
    }

    const ONE: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;

    #[test]
    fn what_is_there_is_counted_and_hashed() {
        let contents = of(&file(ONE, &[0; 8])).unwrap();
        assert_eq!((contents.tensors, contents.numbers, contents.bytes), (1, 2, 70));
        // As `sha256sum` and `b3sum` say.
        assert_eq!(sha256(b"abc")[..16], *"ba7816bf8f01cfea");
        assert_eq!((contents.sha256.len(), contents.blake3.len()), (64, 64));
    }

    #[test]
    fn what_is_no_weights_file_is_refused() {
        let huge = r#"{"a":{"dtype":"F32","shape":[1152921504606846976],"data_offsets":[0,8]}}"#;
        let long = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4611686018427387904]}}"#;
        let nan = [[0; 4], f32::NAN.to_le_bytes()].concat();
        let half = r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#;
        let cases: [(&str, Vec<u8>); 9] = [
            ("empty", vec![]),
            ("header of 2^60 bytes", (1u64 << 60).to_le_bytes().to_vec()),
            ("header longer than the file", 100u64.to_le_bytes().to_vec()),
            ("cut short", file(ONE, &[0; 7])),
            ("2^60 elements", file(huge, &[0; 8])),
            ("2^62 bytes", file(long, &[0; 8])),
            ("no number", file(ONE, &nan)),
            ("infinite half", file(half, &[0, 0, 0, 0xfc])),
            ("no tensors", file("{}", &[])),
        ];
        let table: String =
            cases.iter().map(|(what, bytes)| format!("{what}: {}\n", said(bytes))).collect();
        insta::assert_snapshot!(table, @"
        empty: is no intact safetensors file: header too small
        header of 2^60 bytes: is no intact safetensors file: header too large
        header longer than the file: is no intact safetensors file: invalid header length
        cut short: is no intact safetensors file: incomplete metadata, file not fully covered
        2^60 elements: is no intact safetensors file: overflow computing buffer size from shape and/or element type
        2^62 bytes: is no intact safetensors file: invalid shape, data type, or offset for tensor
        no number: holds a number that is not finite: a, element 1
        infinite half: holds a number that is not finite: a, element 1
        no tensors: holds no tensors
        ");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = of(&bytes);
            let _ = of(&file(&String::from_utf8_lossy(&bytes), &bytes));
        }
    }
}
