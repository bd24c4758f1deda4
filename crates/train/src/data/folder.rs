//! A folder of images: one folder per class, or images without labels.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;
use rayon::prelude::*;
use spec::images::is_image;

/// The images of a folder, in the order of their paths.
///
/// Two equal values are two looks at an unchanged folder: sizes and times of the files count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The folder.
    pub root: PathBuf,
    /// Names of the class folders, sorted; absent for images without labels.
    pub classes: Option<Vec<String>>,
    /// The images.
    pub images: Vec<ImageFile>,
    /// Files that were passed over because their names are not those of images.
    pub ignored: Vec<PathBuf>,
}

/// An image on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Path relative to the folder, with `/`.
    pub name: String,
    /// Position of its class.
    pub label: Option<u32>,
    /// Bytes, and when they last changed: tells that a file is another one.
    stamp: (u64, Option<SystemTime>),
}

/// A folder that holds not what is expected.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FolderError {
    #[error("the images cannot be listed")]
    Read(#[from] std::io::Error),
    #[error(
        "{root} holds no class folders: training images lie in one folder per class, such as \
         {root}/cleaned and {root}/dirty"
    )]
    NoClasses { root: PathBuf },
    #[error("{root} holds the one class folder `{class}`: to tell classes apart takes two")]
    OneClass { root: PathBuf, class: String },
    #[error(
        "{root}/{class} holds no image (.jpg, .jpeg, .png or .webp): fill or remove that folder"
    )]
    EmptyClass { root: PathBuf, class: String },
    #[error("{root} holds no image (.jpg, .jpeg, .png or .webp) and no class folder")]
    NoImages { root: PathBuf },
    #[error("{root} holds both images and class folders: {example} belongs in one of the latter")]
    Mixed { root: PathBuf, example: String },
    #[error(
        "the class folders of {root} are not those of the training images: {}",
        differences(missing, unknown)
    )]
    OtherClasses { root: PathBuf, missing: Vec<String>, unknown: Vec<String> },
    #[error("the name of {0} is not UTF-8: rename it")]
    Name(PathBuf),
    #[error("{0} is a folder with the name of an image: rename it")]
    NamedLikeAnImage(PathBuf),
    #[error("{0} has the name of an image and is no file, but a pipe or a device: remove it")]
    NoFile(PathBuf),
    #[error("{link} leads back to {target}, which it lies in: remove that link")]
    Loop { link: PathBuf, target: PathBuf },
}

fn differences(missing: &[String], unknown: &[String]) -> String {
    let quoted = |names: &[String]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    match (missing.is_empty(), unknown.is_empty()) {
        (false, true) => format!("{} is missing", quoted(missing)),
        (true, _) => format!("{} is unknown", quoted(unknown)),
        (false, false) => format!("{} is missing, {} is unknown", quoted(missing), quoted(unknown)),
    }
}

impl Folder {
    /// Lists a folder with one folder per class. Classes are numbered in the order of their names;
    /// what is hidden is passed over.
    ///
    /// # Errors
    /// When there are fewer than two classes, or one without images.
    pub fn with_classes(root: &Path) -> Result<Self, FolderError> {
        let folder = Self::scan(root)?;
        match &folder.classes {
            None => Err(FolderError::NoClasses { root: root.to_owned() }),
            Some(classes) if classes.len() == 1 => {
                Err(FolderError::OneClass { root: root.to_owned(), class: classes[0].clone() })
            }
            Some(_) => Ok(folder),
        }
    }

    /// Lists a folder with the training folder's `classes`, or with images without labels.
    ///
    /// # Errors
    /// When there are class folders and they are not `classes`.
    pub fn labelled_or_not(root: &Path, classes: &[String]) -> Result<Self, FolderError> {
        let folder = Self::scan(root)?;
        if let Some(found) = &folder.classes {
            check_classes(root, classes, found)?;
        }
        Ok(folder)
    }

    /// Lists a folder with the training folder's `classes`.
    ///
    /// # Errors
    /// When its class folders are not `classes`.
    pub fn labelled(root: &Path, classes: &[String]) -> Result<Self, FolderError> {
        let folder = Self::with_classes(root)?;
        check_classes(root, classes, folder.classes.as_deref().unwrap_or_default())?;
        Ok(folder)
    }

    /// The labels of all images; absent when they have none.
    pub fn labels(&self) -> Option<Vec<u32>> {
        self.images.iter().map(|image| image.label).collect()
    }

    /// Names the content of the images in their order, whatever they and the folder are called.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn fingerprint(&self) -> Result<String, FolderError> {
        Ok(Self::fingerprint_of(&self.hashes()?))
    }

    /// [`Self::fingerprint`], by the hashes of the images.
    pub fn fingerprint_of(hashes: &[blake3::Hash]) -> String {
        let mut hasher = blake3::Hasher::new();
        for hash in hashes {
            hasher.update(hash.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The hash of each image's content.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn hashes(&self) -> Result<Vec<blake3::Hash>, FolderError> {
        let hashes = self
            .images
            .par_iter()
            .map(|image| {
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(fs::File::open(self.root.join(&image.name))?)?;
                Ok(hasher.finalize())
            })
            .collect::<Result<Vec<_>, std::io::Error>>()?;
        Ok(hashes)
    }

    fn scan(root: &Path) -> Result<Self, FolderError> {
        let mut ignored = Vec::new();
        let (mut folders, mut images) = (Vec::new(), Vec::new());
        for path in visible(root)? {
            match Kind::of(&path)? {
                Kind::Folder => folders.push(path),
                Kind::Image => images.push(ImageFile::at(root, &path, None)?),
                Kind::Other => ignored.push(path),
            }
        }
        if folders.is_empty() {
            if images.is_empty() {
                return Err(FolderError::NoImages { root: root.to_owned() });
            }
            return Ok(Self { root: root.to_owned(), classes: None, images, ignored });
        }
        if let Some(image) = images.first() {
            let example = image.name.clone();
            return Err(FolderError::Mixed { root: root.to_owned(), example });
        }
        let mut classes = Vec::new();
        for (folder, label) in folders.iter().zip(0..) {
            let class = relative(root, folder)?;
            let before = images.len();
            let mut above = vec![fs::canonicalize(root)?];
            collect((root, folder), label, &mut above, &mut images, &mut ignored)?;
            if images.len() == before {
                return Err(FolderError::EmptyClass { root: root.to_owned(), class });
            }
            classes.push(class);
        }
        Ok(Self { root: root.to_owned(), classes: Some(classes), images, ignored })
    }
}

impl ImageFile {
    fn at(root: &Path, path: &Path, label: Option<u32>) -> Result<Self, FolderError> {
        let metadata = fs::metadata(path)?;
        let stamp = (metadata.len(), metadata.modified().ok());
        Ok(Self { name: relative(root, path)?, label, stamp })
    }
}

fn check_classes(root: &Path, expected: &[String], found: &[String]) -> Result<(), FolderError> {
    let without = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|name| !those.contains(name)).cloned().collect()
    };
    let (missing, unknown) = (without(expected, found), without(found, expected));
    if missing.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    Err(FolderError::OtherClasses { root: root.to_owned(), missing, unknown })
}

/// Adds the images in a class folder and the folders in it. `above` are the folders that it lies in, by
/// their true names.
fn collect(
    (root, folder): (&Path, &Path),
    label: u32,
    above: &mut Vec<PathBuf>,
    images: &mut Vec<ImageFile>,
    ignored: &mut Vec<PathBuf>,
) -> Result<(), FolderError> {
    let target = fs::canonicalize(folder)?;
    if above.contains(&target) {
        return Err(FolderError::Loop { link: folder.to_owned(), target });
    }
    above.push(target);
    for path in visible(folder)? {
        match Kind::of(&path)? {
            Kind::Folder => collect((root, &path), label, above, images, ignored)?,
            Kind::Image => images.push(ImageFile::at(root, &path, Some(label))?),
            Kind::Other => ignored.push(path),
        }
    }
    above.pop();
    Ok(())
}

/// What a path among the data leads to.
enum Kind {
    Folder,
    Image,
    Other,
}

impl Kind {
    fn of(path: &Path) -> Result<Self, FolderError> {
        let metadata = fs::metadata(path)?;
        match (metadata.is_dir(), is_image(path)) {
            (true, true) => Err(FolderError::NamedLikeAnImage(path.to_owned())),
            (true, false) => Ok(Self::Folder),
            (false, true) if metadata.is_file() => Ok(Self::Image),
            (false, true) => Err(FolderError::NoFile(path.to_owned())),
            (false, false) => Ok(Self::Other),
        }
    }
}

/// What lies in a folder and is not hidden, sorted by name.
fn visible(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn relative(root: &Path, path: &Path) -> Result<String, FolderError> {
    let parts = path
        .strip_prefix(root)
        .unwrap_or(path)
        .iter()
        .map(|part| part.to_str().ok_or_else(|| FolderError::Name(path.to_owned())))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files, all empty: listing never opens them.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if !file.ends_with('/') {
                fs::write(path, "").unwrap();
            } else {
                fs::create_dir_all(path).unwrap();
            }
        }
        root
    }

    #[test]
    fn classes_and_images_are_sorted_and_hidden_files_passed_over() {
        let root =
            folder(&["b/2.JPG", "b/1.png", "a/deep/x.webp", "a/notes.txt", "a/.x.jpg", ".c/y.jpg"]);
        let listed = Folder::with_classes(root.path()).unwrap();
        assert_eq!(listed.classes.as_deref(), Some(["a".to_owned(), "b".to_owned()].as_slice()));
        let names: Vec<_> = listed.images.iter().map(|image| image.name.as_str()).collect();
        assert_eq!(names, ["a/deep/x.webp", "b/1.png", "b/2.JPG"]);
        assert_eq!(listed.labels(), Some(vec![0, 1, 1]));
        assert_eq!(listed.ignored, [root.path().join("a/notes.txt")]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (files, message) in [
            (&["1.jpg"][..], "holds no class folders"),
            (&["a/1.jpg"], "holds the one class folder `a`"),
            (&["a/1.jpg", "b/"], "b holds no image"),
            (&[".x"], "holds no image"),
            (&["a/1.jpg", "2.jpg"], "holds both images and class folders: 2.jpg"),
        ] {
            let root = folder(files);
            let error = Folder::with_classes(root.path()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let error = Folder::with_classes(Path::new("/nowhere")).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("/nowhere"), "{source}");
    }

    #[cfg(unix)]
    #[test]
    fn what_leads_nowhere_is_named() {
        use std::os::unix::fs::symlink;

        let refused = |make: &dyn Fn(&Path)| {
            let root = folder(&["a/deep/1.jpg", "b/1.jpg"]);
            make(root.path());
            let error = Folder::with_classes(root.path()).unwrap_err();
            crate::link::chain(&error).replace(&root.path().display().to_string(), "data")
        };
        let error = refused(&|root| fs::create_dir(root.join("a/x.jpg")).unwrap());
        assert_eq!(error, "data/a/x.jpg is a folder with the name of an image: rename it");
        let error = refused(&|root| symlink("../..", root.join("a/deep/up")).unwrap());
        assert!(error.starts_with("data/a/deep/up leads back to "), "{error}");
        let error = refused(&|root| symlink(".", root.join("a/self")).unwrap());
        assert!(error.starts_with("data/a/self leads back to "), "{error}");
        for (link, target) in [("a/x.jpg", "x.jpg"), ("c", "c"), ("b/x.png", "gone.png")] {
            let error = refused(&|root| symlink(target, root.join(link)).unwrap());
            assert!(error.contains(&format!("data/{link}")), "{error}");
        }
        let error = refused(&|root| {
            let pipe = root.join("a/pipe.jpg");
            assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
        });
        assert!(error.starts_with("data/a/pipe.jpg has the name of an image"), "{error}");
        // A link to another folder is as good as the folder.
        let root = folder(&["a/1.jpg", "b/1.jpg"]);
        let elsewhere = folder(&["more/2.jpg"]);
        symlink(elsewhere.path(), root.path().join("a/linked")).unwrap();
        let listed = Folder::with_classes(root.path()).unwrap();
        assert_eq!(listed.images[1].name, "a/linked/more/2.jpg");
    }

    #[test]
    fn test_images_have_the_same_classes_or_none() {
        let classes = ["a".to_owned(), "b".to_owned()];
        let flat = folder(&["1.jpg"]);
        let listed = Folder::labelled_or_not(flat.path(), &classes).unwrap();
        assert_eq!(listed.labels(), None);
        let root = folder(&["a/1.jpg", "c/1.jpg"]);
        let error = Folder::labelled_or_not(root.path(), &classes).unwrap_err().to_string();
        assert!(error.ends_with("`b` is missing, `c` is unknown"), "{error}");
    }

    #[test]
    fn a_fingerprint_names_contents_in_their_order() {
        let print = |contents: [&str; 2]| {
            let root = folder(&["a/1.jpg", "b/1.jpg"]);
            fs::write(root.path().join("a/1.jpg"), contents[0]).unwrap();
            fs::write(root.path().join("b/1.jpg"), contents[1]).unwrap();
            Folder::with_classes(root.path()).unwrap().fingerprint().unwrap()
        };
        assert_eq!(print(["x", "y"]), print(["x", "y"]));
        assert_ne!(print(["x", "y"]), print(["y", "x"]));
    }
}
