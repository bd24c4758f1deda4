//! The files that features are kept in: safetensors with one tensor and a checksum, named by a hash of
//! everything that the features depend on.
//!
//! A file appears whole: it is written aside under a lock and renamed. It may be deleted at any time.

use std::collections::HashMap;
use std::fs::TryLockError;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tch::{Kind, Tensor};

use crate::link::Halt;

const TENSOR: &str = "features";
const CHECKSUM: &str = "blake3";

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
    Torch(#[from] tch::TchError),
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

    /// Reads the features of `images` images.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or libtorch fails.
    pub fn read(&self, images: i64) -> Result<Found, Halt> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(Halt::Cache(error)),
        };
        match parse(&bytes, images) {
            Ok((shape, data)) => {
                Ok(Found::Features(Tensor::f_from_data_size(data, &shape, Kind::Float)?))
            }
            Err(why) => Ok(Found::Broken(why)),
        }
    }

    /// Writes features under the lock: aside, synced, renamed.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn write(&self, features: &Tensor) -> Result<(), WriteError> {
        let features = features.f_contiguous()?.f_to_device(tch::Device::Cpu)?;
        let mut data = vec![0; features.numel() * size_of::<f32>()];
        features.f_copy_data_u8(&mut data, features.numel())?;
        let checksum = blake3::hash(&data).to_hex().to_string();
        let shape = features.size().iter().map(|&size| size as usize).collect();
        let aside = self.path.with_extension("part");
        let metadata = HashMap::from([(CHECKSUM.to_owned(), checksum)]);
        let bytes = TensorView::new(Dtype::F32, shape, &data)
            .and_then(|view| safetensors::serialize([(TENSOR, view)], Some(metadata)))?;
        let mut file = fs::File::create(&aside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        Ok(fs::rename(&aside, &self.path)?)
    }
}

/// Shape and data of the features in a file, or what is wrong with it.
fn parse(bytes: &[u8], images: i64) -> Result<(Vec<i64>, &[u8]), String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let view = file.tensor(TENSOR).map_err(|error| error.to_string())?;
    let checksum = header.metadata().as_ref().and_then(|metadata| metadata.get(CHECKSUM));
    if checksum.map(String::as_str) != Some(blake3::hash(view.data()).to_hex().as_str()) {
        return Err("its checksum does not match".to_owned());
    }
    let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    if view.dtype() != Dtype::F32 || shape.first() != Some(&images) {
        return Err(format!("it holds {:?} of shape {shape:?}", view.dtype()));
    }
    Ok((shape, view.data()))
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
        for length in 0..intact.len() {
            fs::write(file.path(), &intact[..length]).unwrap();
            assert!(matches!(file.read(2).unwrap(), Found::Broken(_)), "cut at {length}");
        }
        let mut flipped = intact.clone();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(file.path(), flipped).unwrap();
        assert!(matches!(file.read(2).unwrap(), Found::Broken(_)));
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
