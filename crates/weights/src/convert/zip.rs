//! Zip archives whose members are stored as they are.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use zip::ZipArchive;
use zip::result::ZipError as Cause;

/// An archive that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// It is cut short or broken.
    #[error("the zip archive is damaged: {0}")]
    Damaged(Cause),
    /// Members claim more bytes than the whole archive has.
    #[error("the members of the zip archive claim more bytes than the archive has")]
    Overlap,
}

/// An archive in memory.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that members may still claim. Stored members cannot overlap, unless someone means harm.
    left: u64,
}

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ZipError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(ZipError::Damaged)?;
        Ok(Self { archive, left: bytes.len() as u64 })
    }

    /// The number of the member of that name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.archive.index_for_name(name)
    }

    /// The members by name.
    pub(super) fn members(&self) -> BTreeMap<String, usize> {
        (0..self.archive.len())
            .filter_map(|number| {
                Some((self.archive.name_for_index(number)?.ok()?.into_owned(), number))
            })
            .collect()
    }

    /// The bytes of a member, compared with its checksum.
    pub(super) fn read(&mut self, number: usize) -> Result<Vec<u8>, ZipError> {
        let member = self.archive.by_index(number).map_err(ZipError::Damaged)?;
        let size = member.size();
        self.left = self.left.checked_sub(size).ok_or(ZipError::Overlap)?;
        let mut bytes = Vec::with_capacity(size as usize);
        let read = member.take(size + 1).read_to_end(&mut bytes);
        read.map_err(|error| ZipError::Damaged(error.into()))?;
        if bytes.len() as u64 > size {
            return Err(ZipError::Overlap);
        }
        Ok(bytes)
    }
}
