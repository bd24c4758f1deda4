//! The folder of photographs on disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;
use thiserror::Error;

use crate::{Class, Plates, Split, photo};

/// Why photographs were not written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The folder is already there; nothing was touched.
    #[error("{} already exists; remove it or name another folder", folder.display())]
    Exists {
        /// The folder that was asked for.
        folder: PathBuf,
    },
    /// The path ends in nothing that could be a folder's name.
    #[error("{} is not a name for a folder; name one that does not exist yet", folder.display())]
    NoName {
        /// The path that was asked for.
        folder: PathBuf,
    },
    /// The disk said no; the message names the file.
    #[error("cannot write the photographs: {0}")]
    Io(#[from] io::Error),
    /// The encoder refused a picture.
    #[error("cannot encode {}: {source}; JPEG takes sizes from 1 to 65535", file.display())]
    Encode {
        /// The file that would have held it.
        file: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
}

impl Plates {
    /// Writes the photographs as `folder/<split>/<class>/<number>.jpg`.
    ///
    /// They are made in a folder beside it, `.<name>.partial`, which is renamed at the end: the
    /// folder appears complete or not at all. What an interrupted call left is removed by the next
    /// one. `progress` is told, from any thread, how many photographs are done so far.
    ///
    /// # Errors
    /// [`WriteError::Exists`] if the folder is there already; otherwise what the disk or the encoder
    /// reported, with the file's name.
    pub fn write(&self, folder: &Path, progress: &(dyn Fn(u64) + Sync)) -> Result<(), WriteError> {
        if folder.symlink_metadata().is_ok() {
            return Err(WriteError::Exists { folder: folder.to_owned() });
        }
        let partial = partial(folder)?;
        if partial.symlink_metadata().is_ok() {
            fs_err::remove_dir_all(&partial)?;
        }
        for split in Split::ALL {
            for class in Class::ALL {
                fs_err::create_dir_all(partial.join(split.name()).join(class.name()))?;
            }
        }
        let done = AtomicU64::new(0);
        let outcome = self
            .photographs()
            .into_par_iter()
            .try_for_each(|(split, number)| {
                self.write_one(&partial, split, number)?;
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                Ok(())
            })
            .and_then(|()| Ok(fs_err::rename(&partial, folder)?));
        if outcome.is_err() {
            // The first error is the one to tell; a folder that stays is removed by the next call.
            let _ = fs_err::remove_dir_all(&partial);
        }
        outcome
    }

    fn photographs(&self) -> Vec<(Split, u32)> {
        let train = (0..self.train).map(|number| (Split::Train, number));
        train.chain((0..self.test).map(|number| (Split::Test, number))).collect()
    }

    fn write_one(&self, root: &Path, split: Split, number: u32) -> Result<(), WriteError> {
        let class = photo::class(self.seed, split, number);
        let file = root.join(split.name()).join(class.name()).join(format!("{number:04}.jpg"));
        let (picture, quality) = photo::take(self.seed, split, number, self.size);
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality)
            .encode_image(&picture)
            .map_err(|source| WriteError::Encode { file: file.clone(), source })?;
        Ok(fs_err::write(file, bytes)?)
    }
}

fn partial(folder: &Path) -> Result<PathBuf, WriteError> {
    let name = folder.file_name().ok_or(WriteError::NoName { folder: folder.to_owned() })?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".partial");
    Ok(folder.with_file_name(hidden))
}
