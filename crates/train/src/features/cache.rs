//! The files that features are kept in: safetensors with one tensor and a checksum, named by a hash of
//! everything that the features depend on.
//!
//! A file appears whole: it is written aside under a lock and renamed. It may be deleted at any time.

use std::collections::HashMap;
use std::fs::TryLockError;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use tch::{Device, Kind, TchError, Tensor};

use crate::link::Halt;

const TENSOR: &str = "features";
const CHECKSUM: &str = "blake3";

/// Bytes of a header at most; ours take about two hundred.
const MOST_HEADER: u64 = 1 << 16;

/// How often to look whether another worker is done.
const PATIENCE: Duration = Duration::from_millis(50);

/// A file that may hold features.
#[derive(Debug, Clone)]
pub struct CacheFile {
    path: PathBuf,
}

/// What such a file holds.
#[derive(Debug)]
pub enum Found {
    /// There is no file.
    Nothing,
    /// The file is not what was written, for this reason.
    Broken(String),
    /// Features, in main memory.
    Features(Tensor),
}

/// Features that could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Torch(#[from] TchError),
    #[error(transparent)]
    Format(#[from] safetensors::SafeTensorError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl CacheFile {
    /// The file for the features called `key` in the folder `cache`.
    pub fn new(cache: &Path, key: &str) -> Self {
        Self { path: cache.join(format!("{key}.safetensors")) }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until no other process reads or makes these features, asking `go_on` meanwhile. The lock
    /// ends with the value or the process.
    ///
    /// # Errors
    /// When the folder cannot be made or the lock not be had, or with the error of `go_on`.
    pub fn lock(&self, go_on: impl Fn() -> Result<(), Halt>) -> Result<fs::File, Halt> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(Halt::Cache)?;
        }
        let lock = fs::File::create(self.path.with_extension("lock")).map_err(Halt::Cache)?;
        loop {
            match lock.file().try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) => {
                    go_on()?;
                    std::thread::sleep(PATIENCE);
                }
                Err(TryLockError::Error(error)) => return Err(Halt::Cache(error)),
            }
        }
    }

    /// Reads the features of `images` images, straight into the tensor's memory.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or libtorch fails.
    pub fn read(&self, images: i64) -> Result<Found, Halt> {
        let file = match fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(Halt::Cache(error)),
        };
        match parse(file, images) {
            Ok(features) => Ok(Found::Features(features)),
            Err(ReadError::Broken(why)) => Ok(Found::Broken(why)),
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(Found::Broken("it is cut short".to_owned()))
            }
            Err(ReadError::Io(error)) => Err(Halt::Cache(error)),
            Err(ReadError::Torch(error)) => Err(error.into()),
        }
    }

    /// Writes features under the lock: aside, synced, renamed. In main memory they are not copied.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn write(&self, features: &Tensor) -> Result<(), WriteError> {
        let features = features.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
        let data = bytes(&features);
        let checksum = blake3::hash(data).to_hex().to_string();
        let shape = features.size().iter().map(|&size| size as usize).collect();
        let info = TensorInfo { dtype: Dtype::F32, shape, data_offsets: (0, data.len()) };
        let metadata = HashMap::from([(CHECKSUM.to_owned(), checksum)]);
        let header = Metadata::new(Some(metadata), vec![(TENSOR.to_owned(), info)])?;
        let mut header = serde_json::to_vec(&header).map_err(io::Error::from)?;
        // What safetensors' own writers do: the numbers begin at a multiple of eight.
        header.resize(header.len().next_multiple_of(size_of::<u64>()), b' ');
        let aside = self.path.with_extension("part");
        let written = put(&aside, &[&(header.len() as u64).to_le_bytes(), &header, data])
            .and_then(|()| fs::rename(&aside, &self.path));
        if written.is_err() {
            // Results may need the room that it takes; the error that counts is the first.
            let _ = fs::remove_file(&aside);
        }
        Ok(written?)
    }
}

/// Writes a file that is safe on the disk.
fn put(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()
}

/// Why a file gives no features.
enum ReadError {
    /// It is not what was written.
    Broken(String),
    Io(io::Error),
    Torch(TchError),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<TchError> for ReadError {
    fn from(error: TchError) -> Self {
        Self::Torch(error)
    }
}

/// The features in a file.
fn parse(mut file: fs::File, images: i64) -> Result<Tensor, ReadError> {
    let broken = |why: String| Err(ReadError::Broken(why));
    let length = file.metadata()?.len();
    let mut header = [0; size_of::<u64>()];
    file.read_exact(&mut header)?;
    let header_length = u64::from_le_bytes(header);
    if header_length > MOST_HEADER {
        return broken(format!("its header would take {header_length} bytes"));
    }
    let mut header = vec![0; header_length as usize];
    file.read_exact(&mut header)?;
    let header: Metadata = match serde_json::from_slice(&header) {
        Ok(header) => header,
        Err(error) => return broken(error.to_string()),
    };
    let Some(info) = header.info(TENSOR) else {
        return broken("it holds no features".to_owned());
    };
    let shape: Vec<i64> = info.shape.iter().map(|&size| size as i64).collect();
    if info.dtype != Dtype::F32 || shape.first() != Some(&images) {
        return broken(format!("it holds {:?} of shape {shape:?}", info.dtype));
    }
    // Before memory is taken for what it claims to hold.
    let holds = length.saturating_sub(size_of::<u64>() as u64 + header_length);
    let claims = info
        .shape
        .iter()
        .try_fold(size_of::<f32>() as u64, |bytes, &size| bytes.checked_mul(size as u64));
    if claims != Some(holds) {
        return broken(format!("it holds {holds} bytes of features of shape {shape:?}"));
    }
    let mut features = Tensor::f_empty(&shape, (Kind::Float, Device::Cpu))?;
    file.read_exact(bytes_mut(&mut features))?;
    let checksum = header.metadata().as_ref().and_then(|metadata| metadata.get(CHECKSUM));
    if checksum.map(String::as_str) != Some(blake3::hash(bytes(&features)).to_hex().as_str()) {
        return broken("its checksum does not match".to_owned());
    }
    Ok(features)
}

/// The memory of 32-bit floats that lie one behind the other in main memory.
fn bytes(of: &Tensor) -> &[u8] {
    let length = length_in_memory(of);
    // SAFETY: the tensor is contiguous and in main memory, so that many bytes of its own begin there; they stay as
    // long as it is borrowed, and nobody else has it.
    #[expect(unsafe_code, reason = "tch gives copies alone")]
    unsafe {
        std::slice::from_raw_parts(start(of), length)
    }
}

/// The same, to write to.
fn bytes_mut(of: &mut Tensor) -> &mut [u8] {
    let length = length_in_memory(of);
    // SAFETY: as in `bytes`; any bytes are floats.
    #[expect(unsafe_code, reason = "tch takes copies alone")]
    unsafe {
        std::slice::from_raw_parts_mut(start(of), length)
    }
}

fn length_in_memory(of: &Tensor) -> usize {
    assert!(of.device() == Device::Cpu && of.is_contiguous() && of.kind() == Kind::Float);
    of.numel() * size_of::<f32>()
}

/// Of nothing there is no address, and a slice needs one.
fn start(of: &Tensor) -> *mut u8 {
    match of.data_ptr().cast::<u8>() {
        none if none.is_null() => std::ptr::NonNull::dangling().as_ptr(),
        start => start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_come_back_and_damage_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = CacheFile::new(folder.path(), "key");
        let features = Tensor::from_slice(&[1f32, -2.5, 3e-20, 4.0]).reshape([2, 2]);
        assert!(matches!(file.read(2).unwrap(), Found::Nothing));
        file.write(&features).unwrap();
        let Found::Features(read) = file.read(2).unwrap() else { panic!("no features") };
        assert_eq!(read, features);
        assert!(matches!(file.read(3).unwrap(), Found::Broken(_)));

        let intact = fs::read(file.path()).unwrap();
        let others = safetensors::SafeTensors::deserialize(&intact).unwrap();
        assert_eq!(others.tensor(TENSOR).unwrap().shape(), [2, 2], "a file that others read too");
        for length in 0..intact.len() {
            fs::write(file.path(), &intact[..length]).unwrap();
            assert!(matches!(file.read(2).unwrap(), Found::Broken(_)), "cut at {length}");
        }
        for at in 0..intact.len() {
            let mut flipped = intact.clone();
            flipped[at] ^= 1;
            fs::write(file.path(), flipped).unwrap();
            match file.read(2).unwrap() {
                // A name in the header that nobody asks for.
                Found::Features(read) => assert_eq!(read, features, "bit {at}"),
                found => assert!(matches!(found, Found::Broken(_)), "bit {at}"),
            }
        }
        fs::write(file.path(), [intact.as_slice(), &[0; 4]].concat()).unwrap();
        assert!(matches!(file.read(2).unwrap(), Found::Broken(_)), "too long");
    }

    #[test]
    fn the_second_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = CacheFile::new(folder.path(), "key");
        let first = file.lock(|| Ok(())).unwrap();
        let stopped = file.lock(|| Err(Halt::Stopped));
        assert!(matches!(stopped, Err(Halt::Stopped)));
        drop(first);
        file.lock(|| panic!("nobody holds it")).unwrap();
    }
}
