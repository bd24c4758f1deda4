//! Fingerprints of images and weights: their names and contents, never where they lie.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ::weights::MOST_BYTES;
use miette::Diagnostic;
use rayon::prelude::*;
use safetensors::{SafeTensorError, SafeTensors};
use spec::images::{fingerprint, is_image};
use thiserror::Error;

use crate::exit::{self, Ends};

/// Computes fingerprints, each folder and file once.
#[derive(Debug, Default)]
pub struct Fingerprinter {
    folders: HashMap<(PathBuf, Layout), String>,
    files: HashMap<PathBuf, String>,
    contents: HashMap<PathBuf, blake3::Hash>,
}

/// Images that cannot be fingerprinted.
#[derive(Debug, Error, Diagnostic)]
pub enum FingerprintError {
    /// A sweep names a folder that is not there.
    #[error("`data.{what}` names a folder that does not exist: {}", folder.display())]
    #[diagnostic(help(
        "a path is relative to the file that names it, one of `--set` to the working \
         directory; `sweep data synth DIR` makes a set to try things with"
    ))]
    Missing {
        /// The setting: train, validation or test.
        what: &'static str,
        /// The folder.
        folder: PathBuf,
    },
    /// A folder without a single image.
    #[error("`data.{what}` names a folder without images: {}", folder.display())]
    Empty {
        /// The setting.
        what: &'static str,
        /// The folder.
        folder: PathBuf,
    },
    /// Images to learn from that stand in no class folder.
    #[error("`data.{what}` names a folder without class folders: {}", folder.display())]
    #[diagnostic(help("put the images of each class into a folder with the class's name"))]
    NoClasses {
        /// The setting.
        what: &'static str,
        /// The folder.
        folder: PathBuf,
    },
    /// A class without images.
    #[error("the class folder is empty: {}", folder.display())]
    #[diagnostic(help("every class needs images: add some, or remove the folder"))]
    EmptyClass {
        /// The class's folder.
        folder: PathBuf,
    },
    /// A link to a folder that it lies in: following it would never end.
    #[error("a link among the data leads back to a folder above it: {}", link.display())]
    #[diagnostic(help("remove the link: images behind it would count again and again"))]
    Loop {
        /// The link.
        link: PathBuf,
    },
    /// Weights that no worker could load.
    #[error("{} is no intact safetensors file: {cause}", file.display())]
    #[diagnostic(help("`sweep weights pull` and `convert` make one"))]
    Weights {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: SafeTensorError,
    },
    /// A pipe or a device, which may have no end.
    #[error("{} is called like an image and is no file", path.display())]
    #[diagnostic(help("remove it"))]
    NoFile {
        /// What it is.
        path: PathBuf,
    },
    /// Reading failed.
    #[error("cannot fingerprint the data: {0}")]
    Io(io::Error),
}

impl From<io::Error> for FingerprintError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Ends for FingerprintError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Io(_) | Self::Weights { .. } => exit::ENVIRONMENT,
            Self::Missing { .. }
            | Self::Empty { .. }
            | Self::NoClasses { .. }
            | Self::EmptyClass { .. }
            | Self::Loop { .. }
            | Self::NoFile { .. } => exit::USAGE,
        }
    }
}

/// What a folder of images must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One folder for each class.
    Classes,
    /// Class folders, or images without labels.
    Any,
}

impl Fingerprinter {
    /// Of the visible images under `folder`: the setting `what` of a sweep.
    ///
    /// # Errors
    /// When the folder is missing, empty, not laid out as `layout` says, or unreadable.
    pub fn folder(
        &mut self,
        what: &'static str,
        folder: &Path,
        layout: Layout,
    ) -> Result<String, FingerprintError> {
        let key = (folder.to_owned(), layout);
        if let Some(known) = self.folders.get(&key) {
            return Ok(known.clone());
        }
        if !folder.is_dir() {
            return Err(FingerprintError::Missing { what, folder: folder.to_owned() });
        }
        if layout == Layout::Classes {
            check_classes(what, folder)?;
        }
        let mut images = files_under(folder)?;
        images.retain(|file| is_image(file));
        if images.is_empty() {
            return Err(FingerprintError::Empty { what, folder: folder.to_owned() });
        }
        let fingerprint = of_files(folder, &images)?;
        self.folders.insert(key, fingerprint.clone());
        Ok(fingerprint)
    }

    /// Of a file's content, or of all visible files' under a folder, whatever they are.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn content(&mut self, path: &Path) -> Result<blake3::Hash, FingerprintError> {
        if let Some(known) = self.contents.get(path) {
            return Ok(*known);
        }
        let hash = if path.is_dir() {
            blake3::hash(of_files(path, &files_under(path)?)?.as_bytes())
        } else {
            hash(path)?
        };
        self.contents.insert(path.to_owned(), hash);
        Ok(hash)
    }

    /// Of a weights file's content.
    ///
    /// # Errors
    /// When it cannot be read, or is no safetensors file.
    pub fn weights(&mut self, file: &Path) -> Result<String, FingerprintError> {
        if let Some(known) = self.files.get(file) {
            return Ok(known.clone());
        }
        let bytes = read_weights(file)?;
        SafeTensors::deserialize(&bytes)
            .map_err(|cause| FingerprintError::Weights { file: file.to_owned(), cause })?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_rayon(&bytes);
        let fingerprint = hasher.finalize().to_hex().to_string();
        self.files.insert(file.to_owned(), fingerprint.clone());
        Ok(fingerprint)
    }
}

/// All of a file that is not too large for weights.
fn read_weights(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs_err::File::open(file)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        let what = format!("{} is too large for weights", file.display());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

fn check_classes(what: &'static str, folder: &Path) -> Result<(), FingerprintError> {
    let classes: Vec<PathBuf> = visible(folder)?.into_iter().filter(|path| path.is_dir()).collect();
    if classes.is_empty() {
        return Err(FingerprintError::NoClasses { what, folder: folder.to_owned() });
    }
    for class in classes {
        if files_under(&class)?.is_empty() {
            return Err(FingerprintError::EmptyClass { folder: class });
        }
    }
    Ok(())
}

fn hash(file: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs_err::File::open(file)?)?;
    Ok(hasher.finalize())
}

/// As a worker will find images again.
fn of_files(folder: &Path, files: &[PathBuf]) -> Result<String, FingerprintError> {
    let hashed = files
        .par_iter()
        .map(|file| {
            let name = file.strip_prefix(folder).unwrap_or(file).as_os_str().as_encoded_bytes();
            Ok((name, hash(file)?))
        })
        .collect::<io::Result<Vec<_>>>()?;
    Ok(fingerprint(hashed))
}

/// The visible files under `folder`, links followed. A folder may be met twice, behind a link beside
/// it, but never below itself.
pub(crate) fn files_under(folder: &Path) -> Result<Vec<PathBuf>, FingerprintError> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), Vec::new())];
    while let Some((folder, above)) = folders.pop() {
        // By its real name, which is one however many links lead to it.
        let real = fs_err::canonicalize(&folder)?;
        if above.contains(&real) {
            return Err(FingerprintError::Loop { link: folder });
        }
        for path in visible(&folder)? {
            let kind = fs_err::metadata(&path)?;
            if kind.is_dir() {
                let above = above.iter().chain([&real]).cloned().collect();
                folders.push((path, above));
            } else if kind.is_file() {
                files.push(path);
            } else if is_image(&path) {
                return Err(FingerprintError::NoFile { path });
            }
        }
    }
    Ok(files)
}

/// What a folder shows: names with a leading dot are the desktop's, not the data's.
pub(crate) fn visible(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn of(folder: &Path, layout: Layout) -> Result<String, FingerprintError> {
        Fingerprinter::default().folder("train", folder, layout)
    }

    #[test]
    fn names_and_contents_count_and_the_place_does_not() {
        let made: Vec<_> = [
            ("here", "a/1.jpg", "x"),
            ("there", "a/1.jpg", "x"),
            ("content", "a/1.jpg", "y"),
            ("name", "a/2.jpg", "x"),
            ("class", "b/1.jpg", "x"),
        ]
        .map(|(place, name, text)| {
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join(place);
            write(&folder, name, text);
            write(&folder, ".hidden", place);
            of(&folder, Layout::Classes).unwrap()
        })
        .into();
        assert_eq!(made[0], made[1]);
        for other in 2..made.len() {
            assert!(!made[..other].contains(&made[other]), "{other}");
        }
    }

    #[test]
    fn folders_that_cannot_be_used_are_named() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert!(matches!(of(&root.join("no"), Layout::Any), Err(FingerprintError::Missing { .. })));
        assert!(matches!(of(root, Layout::Any), Err(FingerprintError::Empty { .. })));
        write(root, "1.jpg", "x");
        assert!(of(root, Layout::Any).is_ok());
        assert!(matches!(of(root, Layout::Classes), Err(FingerprintError::NoClasses { .. })));
        fs_err::create_dir(root.join("clean")).unwrap();
        let error = of(root, Layout::Classes).unwrap_err();
        assert!(error.to_string().ends_with("/clean"), "{error}");
    }

    #[test]
    fn what_is_no_image_does_not_count_and_a_device_is_refused() {
        use std::os::unix::fs::symlink;

        let root = tempfile::tempdir().unwrap();
        write(root.path(), "a/1.jpg", "x");
        let before = of(root.path(), Layout::Classes).unwrap();
        write(root.path(), "a/notes.txt", "y");
        symlink("/dev/zero", root.path().join("a/zero")).unwrap();
        assert_eq!(of(root.path(), Layout::Classes).unwrap(), before);
        symlink("/dev/zero", root.path().join("a/zero.jpg")).unwrap();
        let error = of(root.path(), Layout::Classes).unwrap_err();
        assert!(matches!(error, FingerprintError::NoFile { .. }), "{error}");
    }

    #[test]
    fn a_link_that_leads_back_is_named_and_one_that_does_not_is_followed() {
        use std::os::unix::fs::symlink;

        let root = tempfile::tempdir().unwrap();
        write(root.path(), "a/1.jpg", "x");
        symlink("a", root.path().join("b")).unwrap();
        let linked = of(root.path(), Layout::Classes).unwrap();
        fs_err::remove_file(root.path().join("b")).unwrap();
        write(root.path(), "b/1.jpg", "x");
        assert_eq!(of(root.path(), Layout::Classes).unwrap(), linked);

        symlink(".", root.path().join("a/loop")).unwrap();
        for layout in [Layout::Classes, Layout::Any] {
            let error = of(root.path(), layout).unwrap_err();
            assert!(error.to_string().ends_with("/a/loop"), "{error}");
            assert_eq!(error.exit_code(), exit::USAGE);
        }
    }
}
