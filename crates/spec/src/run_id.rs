//! The run id: the same work has the same id in every sweep, so it runs once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::{Config, Freeze, Validation, Weights};

/// Version of what training means. Raised whenever a change makes the same configuration and seed
/// give other numbers; every run then has a new id, and old results stay what they are.
pub const TRAINING_SEMANTICS: u32 = 1;

/// Hash of a canonical resolved configuration, seed and [`Fingerprints`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId([u8; 32]);

/// What a run depends on besides configuration and seed: the content behind its paths.
///
/// Each is a BLAKE3 hash in hexadecimal. Paths themselves never count: the same images in another
/// folder are the same work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprints {
    /// Names and contents of the training images.
    pub train: String,
    /// Of the validation folder, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// Of the test images, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Content of the weights file; absent for `weights = "none"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
}

impl RunId {
    /// The id of training `config` with `seed` on what `fingerprints` names.
    pub fn of(config: &Config, seed: u64, fingerprints: &Fingerprints) -> Self {
        #[derive(Serialize)]
        struct Identity<'a> {
            semantics: u32,
            seed: u64,
            config: Config,
            fingerprints: &'a Fingerprints,
        }
        let identity = Identity {
            semantics: TRAINING_SEMANTICS,
            seed,
            config: without_paths(config),
            fingerprints,
        };
        Self(*blake3::hash(&canonical_json(&identity)).as_bytes())
    }

    /// An id from a digest computed elsewhere.
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The first twelve hexadecimal digits: enough to tell runs apart, short enough to type.
    pub fn short(&self) -> String {
        let mut hex = self.to_string();
        hex.truncate(12);
        hex
    }
}

/// The readable half of a run folder's name, such as `efficientnet_lite0-gap-b32-lr0.0001-s1`.
///
/// It says what most sweeps vary; the id beside it is what tells runs apart.
pub fn slug(config: &Config, seed: u64) -> String {
    let freeze = match &config.model.freeze {
        Freeze::All => String::new(),
        Freeze::None => "-unfrozen".to_owned(),
        Freeze::UnfreezeLast(layers) => format!("-last{layers}"),
    };
    format!(
        "{}{freeze}-{}-b{}-lr{}-s{seed}",
        config.model.backbone.name(),
        config.model.pooling.name(),
        config.train.batch_size,
        config.train.learning_rate,
    )
}

/// The configuration with every path replaced by a fixed word: [`Fingerprints`] stand for them.
fn without_paths(config: &Config) -> Config {
    let mut config = config.clone();
    config.data.train = "train".into();
    config.data.test = config.data.test.map(|_| "test".into());
    if let Validation::Folder(path) = &mut config.data.validation {
        *path = "validation".into();
    }
    // A file and the built-in name for the same content are the same weights.
    if config.model.weights != Weights::None {
        config.model.weights = Weights::File("weights".into());
    }
    config
}

/// JSON with sorted keys and no white space: one text for one value.
fn canonical_json(value: &impl Serialize) -> Vec<u8> {
    // serde_json's map is sorted by key unless its feature `preserve_order` is on; going through
    // `Value` therefore sorts. A test holds that.
    match serde_json::to_value(value) {
        Ok(value) => value.to_string().into_bytes(),
        Err(error) => unreachable!("plain data always becomes JSON: {error}"),
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no run id.
#[derive(Debug, thiserror::Error)]
#[error("a run id is 64 hexadecimal digits, and `{0}` is not")]
pub struct ParseRunIdError(String);

impl FromStr for RunId {
    type Err = ParseRunIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| ParseRunIdError(text.to_owned()))
    }
}

impl Serialize for RunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
