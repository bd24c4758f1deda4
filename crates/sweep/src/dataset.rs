//! Whether folders of images are what a run needs: found out once, before anything starts.
//!
//! The worker refuses the same, but run by run and as a result.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use spec::config::{Builtin, ClassWeight, Data, Monitor, Output, Validation};
use spec::images::is_image;
use thiserror::Error;

use crate::exit::{self, Ends};
use crate::fingerprint::{FingerprintError, files_under, visible};

/// Images that no run can be trained on.
#[derive(Debug, Error, Diagnostic)]
pub enum DatasetError {
    /// Nothing to tell apart.
    #[error("`data.train` holds one class, `{class}`: {}", folder.display())]
    #[diagnostic(help("to tell classes apart takes two: one folder of images for each"))]
    OneClass {
        /// The training folder.
        folder: PathBuf,
        /// Its only class.
        class: String,
    },
    /// A class without images, though not without files.
    #[error("the class folder holds no image: {}", folder.display())]
    #[diagnostic(help(
        "images are called .jpg, .jpeg, .png or .webp: add some, or remove the folder"
    ))]
    NoImage {
        /// The class's folder.
        folder: PathBuf,
    },
    /// Labels that the trained model does not know.
    #[error(
        "the class folders of `data.{what}` are not those of the training images: {}",
        differences(missing, unknown)
    )]
    #[diagnostic(help("{} must hold {}", folder.display(), listed(expected)))]
    OtherClasses {
        /// The setting: validation or test.
        what: &'static str,
        /// Its folder.
        folder: PathBuf,
        /// The training images' classes.
        expected: Vec<String>,
        /// Those of them that are not there.
        missing: Vec<String>,
        /// Those that the training images do not have.
        unknown: Vec<String>,
    },
    /// Cross-validation that would leave a class out of a fold.
    #[error("{folds} folds are more than the {images} image{} of class `{class}`", if *images == 1 { "" } else { "s" })]
    #[diagnostic(help(
        "{} needs at least one image of each class for each fold: set data.validation to \
         {{ folds = {images} }} or fewer",
        folder.display()
    ))]
    TooManyFolds {
        /// Folds asked for.
        folds: u32,
        /// The training folder.
        folder: PathBuf,
        /// The smallest class.
        class: String,
        /// Its images.
        images: usize,
    },
    /// A validation share that would take the last image of every class.
    #[error("no class has an image to spare for validation: {}", folder.display())]
    #[diagnostic(help("add images, or set data.validation to \"none\" or to a folder"))]
    NothingToSpare {
        /// The training folder.
        folder: PathBuf,
    },
    /// The same images for two purposes.
    #[error("`data.{one}` and `data.{other}` are the same folder: {}", folder.display())]
    #[diagnostic(help(
        "what stops training or chooses must not be what is reported: give each its own images, or leave \
         `data.test` out and let the validation images be the score"
    ))]
    SameFolder {
        /// A setting.
        one: &'static str,
        /// Another one.
        other: &'static str,
        /// What both name.
        folder: PathBuf,
    },
    /// A weight for a class that is not there.
    #[error("`class_weight` names the class `{class}`, which is not there: {}", folder.display())]
    #[diagnostic(help("the classes are {}", listed(expected)))]
    NoSuchClass {
        /// The name.
        class: String,
        /// The training folder.
        folder: PathBuf,
        /// The classes that are there.
        expected: Vec<String>,
    },
    /// A setting for two classes, and more of them.
    #[error("{setting} is for two classes, and there are {classes}: {}", folder.display())]
    #[diagnostic(help("{instead}"))]
    ForTwoClasses {
        /// The setting, as it is written.
        setting: &'static str,
        /// Classes that are there.
        classes: usize,
        /// The training folder.
        folder: PathBuf,
        /// What to set in its place.
        instead: &'static str,
    },
    /// Reading failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Files(#[from] FingerprintError),
    /// Reading failed.
    #[error("cannot list the images: {0}")]
    Io(#[from] io::Error),
}

impl Ends for DatasetError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

/// The images of each class.
type Classes = BTreeMap<String, usize>;

/// Folders that have been looked into, each once.
#[derive(Debug, Default)]
pub struct Datasets {
    folders: HashMap<PathBuf, Classes>,
}

impl Datasets {
    /// Whether the folders of `config` fit together, can be split as it asks, and hold the classes that it
    /// speaks of.
    ///
    /// # Errors
    /// When not.
    pub fn check(&mut self, config: &Builtin) -> Result<(), DatasetError> {
        let data = &config.data;
        check_folders(data)?;
        let train = self.classes(&data.train)?;
        check_training(&data.train, &train, &data.validation)?;
        check_settings(config, &train)?;
        if let Validation::Folder(folder) = &data.validation {
            check_classes("validation", folder, &train, &self.classes(folder)?)?;
        }
        if let Some(folder) = &data.test {
            let test = self.classes(folder)?;
            // Without class folders the images have no labels.
            if !test.is_empty() {
                check_classes("test", folder, &train, &test)?;
            }
        }
        Ok(())
    }

    /// How many classes the training images of `data` are of.
    ///
    /// # Errors
    /// When they cannot be listed, or a class has no image.
    pub fn count_classes(&mut self, data: &Data) -> Result<usize, DatasetError> {
        Ok(self.classes(&data.train)?.len())
    }

    fn classes(&mut self, folder: &Path) -> Result<Classes, DatasetError> {
        if let Some(known) = self.folders.get(folder) {
            return Ok(known.clone());
        }
        let mut classes = Classes::new();
        for class in visible(folder)?.into_iter().filter(|path| path.is_dir()) {
            let images = files_under(&class)?.iter().filter(|file| is_image(file)).count();
            if images == 0 {
                return Err(DatasetError::NoImage { folder: class });
            }
            let name = class.file_name().unwrap_or_default().to_string_lossy().into_owned();
            classes.insert(name, images);
        }
        self.folders.insert(folder.to_owned(), classes.clone());
        Ok(classes)
    }
}

fn check_training(
    folder: &Path,
    classes: &Classes,
    validation: &Validation,
) -> Result<(), DatasetError> {
    let folder = || folder.to_owned();
    if let (1, Some(class)) = (classes.len(), classes.keys().next()) {
        return Err(DatasetError::OneClass { folder: folder(), class: class.clone() });
    }
    match (validation, classes.iter().min_by_key(|(_, images)| **images)) {
        (Validation::Folds(folds), Some((class, &images))) if images < *folds as usize => {
            let class = class.clone();
            Err(DatasetError::TooManyFolds { folds: *folds, folder: folder(), class, images })
        }
        (Validation::Fraction(_), _) if classes.values().all(|images| *images == 1) => {
            Err(DatasetError::NothingToSpare { folder: folder() })
        }
        _ => Ok(()),
    }
}

/// Whether images have one purpose each.
fn check_folders(data: &Data) -> Result<(), DatasetError> {
    let validation = match &data.validation {
        Validation::Folder(folder) => Some(folder),
        _ => None,
    };
    let folders =
        [("train", Some(&data.train)), ("validation", validation), ("test", data.test.as_ref())];
    let folders: Vec<(&str, PathBuf)> = folders
        .into_iter()
        .filter_map(|(what, folder)| Some((what, fs_err::canonicalize(folder?).ok()?)))
        .collect();
    for (at, (other, folder)) in folders.iter().enumerate() {
        if let Some((one, _)) = folders[..at].iter().find(|(_, earlier)| earlier == folder) {
            let folder = folder.clone();
            return Err(DatasetError::SameFolder { one, other, folder });
        }
    }
    Ok(())
}

/// Whether settings that depend on the classes suit them.
fn check_settings(config: &Builtin, classes: &Classes) -> Result<(), DatasetError> {
    let folder = || config.data.train.clone();
    if let ClassWeight::ByName(weights) = &config.train.class_weight
        && let Some(class) = weights.keys().find(|class| !classes.contains_key(*class))
    {
        let expected = classes.keys().cloned().collect();
        return Err(DatasetError::NoSuchClass { class: class.clone(), folder: folder(), expected });
    }
    let for_two = if config.model.output == Output::Sigmoid {
        Some(("`output = \"sigmoid\"`", "set output to \"softmax\" or \"auto\""))
    } else if config.monitors().any(|monitor| monitor == Monitor::ValAuc) {
        Some(("the monitor `val_auc`", "watch val_loss or val_accuracy"))
    } else {
        None
    };
    match for_two {
        Some((setting, instead)) if classes.len() != 2 => {
            let classes = classes.len();
            Err(DatasetError::ForTwoClasses { setting, classes, folder: folder(), instead })
        }
        _ => Ok(()),
    }
}

fn check_classes(
    what: &'static str,
    folder: &Path,
    train: &Classes,
    found: &Classes,
) -> Result<(), DatasetError> {
    let without = |these: &Classes, those: &Classes| -> Vec<String> {
        these.keys().filter(|name| !those.contains_key(*name)).cloned().collect()
    };
    let (missing, unknown) = (without(train, found), without(found, train));
    if missing.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    let (folder, expected) = (folder.to_owned(), train.keys().cloned().collect());
    Err(DatasetError::OtherClasses { what, folder, expected, missing, unknown })
}

fn differences(missing: &[String], unknown: &[String]) -> String {
    let part = |names: &[String], word: &str| {
        (!names.is_empty()).then(|| {
            format!("{} {} {word}", listed(names), if names.len() == 1 { "is" } else { "are" })
        })
    };
    let parts = [part(missing, "missing"), part(unknown, "unknown")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a training folder `train` and a test folder `test` with these files.
    fn said(files: &[&str], validation: Validation) -> String {
        said_of(files, serde_json::json!({}), |data| Data { validation, ..data })
    }

    /// The same, with more settings.
    fn said_of(
        files: &[&str],
        settings: serde_json::Value,
        data: impl FnOnce(Data) -> Data,
    ) -> String {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "x").unwrap();
        }
        let folders = serde_json::json!({
            "train": root.path().join("train"),
            "test": root.path().join("test"),
        });
        let mut written = serde_json::json!({ "data": folders, "model": {}, "train": {} });
        for (key, value) in settings.as_object().unwrap() {
            written[key] = value.clone();
        }
        let mut config: Builtin = serde_json::from_value(written).unwrap();
        config.data = data(config.data);
        match Datasets::default().check(&config) {
            Ok(()) => "fine".to_owned(),
            Err(error) => error.to_string().replace(&root.path().display().to_string(), ""),
        }
    }

    #[test]
    fn folders_have_to_fit_together() {
        let pair = ["train/a/1.jpg", "train/a/2.jpg", "train/b/1.png", "train/b/2.png"];
        let with = |more: &[&'static str]| [&pair[..], more].concat();
        let share = Validation::Fraction(0.2);
        for (files, validation, expected) in [
            (with(&["test/1.jpg"]), share.clone(), "fine"),
            (with(&["test/a/1.jpg", "test/b/1.jpg"]), share.clone(), "fine"),
            (with(&["test/1.jpg"]), Validation::Folds(2), "fine"),
            (
                with(&["test/1.jpg"]),
                Validation::Folds(3),
                "3 folds are more than the 2 images of class `a`",
            ),
            (
                with(&["test/1.jpg", "train/c/1.jpg"]),
                Validation::Folds(2),
                "2 folds are more than the 1 image of class `c`",
            ),
            (
                with(&["test/a/1.jpg", "test/c/1.jpg", "test/d/1.jpg"]),
                share.clone(),
                "the class folders of `data.test` are not those of the training images: \
                 `b` is missing, `c`, `d` are unknown",
            ),
            (
                vec!["train/a/1.jpg", "train/a/2.jpg", "test/1.jpg"],
                share.clone(),
                "`data.train` holds one class, `a`: /train",
            ),
            (
                with(&["train/c/notes.txt", "test/1.jpg"]),
                share.clone(),
                "the class folder holds no image: /train/c",
            ),
            (
                vec!["train/a/1.jpg", "train/b/1.jpg", "test/1.jpg"],
                share,
                "no class has an image to spare for validation: /train",
            ),
            (vec!["train/a/1.jpg", "train/b/1.jpg", "test/1.jpg"], Validation::None, "fine"),
        ] {
            assert_eq!(said(&files, validation), expected, "{files:?}");
        }
    }

    #[test]
    fn images_have_one_purpose_each() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["train", "test"] {
            for class in ["a", "b"] {
                let class = root.path().join(folder).join(class);
                fs_err::create_dir_all(&class).unwrap();
                fs_err::write(class.join("1.jpg"), "x").unwrap();
            }
        }
        let said = |validation: &str, test: &str| {
            let data = serde_json::json!({
                "train": root.path().join("train"),
                "validation": root.path().join(validation),
                "test": root.path().join(test),
            });
            let error = check_folders(&serde_json::from_value(data).unwrap()).unwrap_err();
            error
                .to_string()
                .replace(&root.path().canonicalize().unwrap().display().to_string(), "")
        };
        let same = "are the same folder";
        assert_eq!(
            said("test", "train/../test"),
            format!("`data.validation` and `data.test` {same}: /test")
        );
        assert_eq!(
            said("train", "test"),
            format!("`data.train` and `data.validation` {same}: /train")
        );
    }

    #[test]
    fn settings_have_to_suit_the_classes() {
        use serde_json::json;
        let two =
            ["train/a/1.jpg", "train/a/2.jpg", "train/b/1.jpg", "train/b/2.jpg", "test/1.jpg"];
        let three = [&two[..], &["train/c/1.jpg", "train/c/2.jpg"]].concat();
        let sigmoid = json!({ "model": { "output": "sigmoid" } });
        let auc = json!({ "early_stopping": { "monitor": "val_auc" } });
        for (files, settings, expected) in [
            (&two[..], sigmoid.clone(), "fine"),
            (&three, sigmoid, "`output = \"sigmoid\"` is for two classes, and there are 3: /train"),
            (&two, auc.clone(), "fine"),
            (&three, auc, "the monitor `val_auc` is for two classes, and there are 3: /train"),
            (&two, json!({ "train": { "class_weight": { "b": 2.0 } } }), "fine"),
            (
                &two,
                json!({ "train": { "class_weight": { "bb": 2.0 } } }),
                "`class_weight` names the class `bb`, which is not there: /train",
            ),
        ] {
            assert_eq!(said_of(files, settings.clone(), |data| data), expected, "{settings}");
        }
    }
}
