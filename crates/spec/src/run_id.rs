//! The run id: the same work has the same id in every sweep, so it runs once.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Builtin, Config, Data, Freeze, Model, Own, Validation, Weights};

/// Version of what training means. Raised whenever a change makes the same configuration and seed
/// give other numbers; every run then has a new id, and old results stay what they are.
pub const TRAINING_SEMANTICS: u32 = 5;

/// The same for trainers of the user's own: version of what they are told and of how they are understood.
pub const TRAINER_INTERFACE: u32 = 1;

/// Hash of a canonical resolved configuration, seed and [`Fingerprints`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId([u8; 32]);

/// What a run depends on besides configuration and seed: the content behind its paths.
///
/// Each is a BLAKE3 hash in hexadecimal. Paths themselves never count: the same images in another
/// folder are the same work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fingerprints {
    /// Names and contents of the training images; a trainer of the user's own may need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<String>,
    /// Of the validation folder, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// Of the test images, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Content of the weights file; absent for `weights = "none"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Names and contents of the files that the command of an own trainer names, where it names any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trainer: Option<String>,
}

impl RunId {
    /// The id of training `config` with `seed` on what `fingerprints` names.
    pub fn of(config: &Config, seed: u64, fingerprints: &Fingerprints) -> Self {
        Self::under(TRAINING_SEMANTICS, config, seed, fingerprints)
    }

    /// The id that it has, or had, under a version of [`TRAINING_SEMANTICS`].
    pub fn under(semantics: u32, config: &Config, seed: u64, fingerprints: &Fingerprints) -> Self {
        #[derive(Serialize)]
        struct Identity<'a, C> {
            #[serde(skip_serializing_if = "Option::is_none")]
            semantics: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            interface: Option<u32>,
            seed: u64,
            config: C,
            fingerprints: &'a Fingerprints,
        }
        let json = match config {
            Config::Builtin(config) => canonical_json(&Identity {
                semantics: Some(semantics),
                interface: None,
                seed,
                config: without_paths(config),
                fingerprints,
            }),
            Config::Own(config) => canonical_json(&Identity {
                semantics: None,
                interface: Some(TRAINER_INTERFACE),
                seed,
                config: own_without_paths(config),
                fingerprints,
            }),
        };
        Self(*blake3::hash(&json).as_bytes())
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
    match config {
        Config::Builtin(config) => builtin_slug(config, seed),
        Config::Own(config) => format!("{}-s{seed}", own_slug(config)),
    }
}

fn builtin_slug(config: &Builtin, seed: u64) -> String {
    let freeze = match &config.model.freeze {
        Freeze::All => String::new(),
        Freeze::None => "-unfrozen".to_owned(),
        Freeze::UnfreezeLast(layers) => format!("-last{layers}"),
        Freeze::UnfreezeFrom(layer) => {
            // A name that is no layer's may hold anything, and a folder is called so.
            let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
            format!("-from_{}", layer.chars().filter(plain).take(40).collect::<String>())
        }
    };
    format!(
        "{}{freeze}-{}-b{}-lr{}-s{seed}",
        config.model.backbone.name(),
        config.model.pooling.name(),
        config.train.batch_size,
        short(config.train.learning_rate),
    )
}

/// `train-lr0.1-layers3`: the program and as many of its settings as a name has room for.
fn own_slug(config: &Own) -> String {
    const LONGEST: usize = 60;
    let mut slug = plain(config.trainer.name());
    for (name, value) in &config.params {
        let value = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => continue,
            value => value.to_string(),
        };
        let more = format!("-{}{}", plain(name), plain(&value));
        if slug.len() + more.len() <= LONGEST {
            slug += &more;
        }
    }
    slug
}

/// What a folder may be called in any case.
fn plain(text: &str) -> String {
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '+');
    let text: String = text.chars().filter(fits).take(40).collect();
    text.trim_start_matches('.').to_owned()
}

/// `number` written out, unless that takes many digits: a folder's name holds 255 bytes, and 1e-300
/// has 300 zeros.
fn short(number: f64) -> String {
    const MANY: usize = 12;
    let plain = number.to_string();
    let exponent = format!("{number:e}");
    if plain.len() > MANY && exponent.len() < plain.len() { exponent } else { plain }
}

/// The configuration with every path replaced by a fixed word, for [`Fingerprints`] stand for them,
/// and without what changes only what is said.
fn without_paths(config: &Builtin) -> Builtin {
    let mut config = config.clone();
    hide_folders(&mut config.data);
    if let Some(early_stopping) = &mut config.early_stopping {
        early_stopping.verbose = 1;
    }
    // Under the name of what it stands for.
    config.model.precision = config.model.precision.resolved();
    // A file and the built-in name for the same content are the same weights.
    if config.model.weights != Weights::None {
        config.model.weights = Weights::File("weights".into());
    }
    config
}

/// The same of a trainer of the user's own, who is told everything as it is written: what it does with it
/// nobody knows.
fn own_without_paths(config: &Own) -> Own {
    let mut config = config.clone();
    config.trainer.folder = "folder".into();
    if let Some(data) = &mut config.data {
        hide_folders(data);
    }
    if let Some(Model { weights: Weights::File(path), .. }) = &mut config.model {
        *path = "weights".into();
    }
    config
}

fn hide_folders(data: &mut Data) {
    data.train = "train".into();
    data.test = data.test.take().map(|_| "test".into());
    if let Validation::Folder(path) = &mut data.validation {
        *path = "validation".into();
    }
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

/// As it is written.
impl JsonSchema for RunId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RunId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        Backbone, ClassWeight, EarlyStopping, Interpolation, KernelInitializer,
        LearningRateSchedule, Metrics, Mode, Monitor, Optimizer, Output, Pooling, Precision,
        Preprocessing, Protocol, ReduceLrOnPlateau, Train, Trainer,
    };

    fn config() -> Builtin {
        Builtin {
            data: Data {
                train: "/data/train".into(),
                test: Some("/data/test".into()),
                validation: Validation::Fraction(0.2),
                image_size: 224,
                interpolation: Interpolation::Bilinear,
            },
            model: Model {
                backbone: Backbone::EfficientnetLite0,
                weights: Weights::Imagenet,
                preprocessing: Preprocessing::Auto,
                freeze: Freeze::UnfreezeLast(10),
                precision: Precision::Fp32,
                pooling: Pooling::Gap,
                hidden: Vec::new(),
                dropout: 0.0,
                output: Output::Auto,
                kernel_initializer: KernelInitializer::GlorotUniform,
            },
            train: Train {
                batch_size: 32,
                learning_rate: 1e-4,
                learning_rate_schedule: LearningRateSchedule::Constant,
                epochs: 50,
                steps_per_epoch: Some(100),
                validation_steps: None,
                optimizer: Optimizer::default(),
                label_smoothing: 0.0,
                class_weight: ClassWeight::None,
            },
            early_stopping: Some(EarlyStopping {
                monitor: Monitor::ValLoss,
                patience: 10,
                min_delta: 0.0,
                mode: Mode::Auto,
                baseline: None,
                start_from_epoch: 0,
                restore_best_weights: true,
                verbose: 1,
            }),
            reduce_lr_on_plateau: Some(ReduceLrOnPlateau {
                monitor: Monitor::ValLoss,
                factor: 0.5,
                patience: 5,
                min_delta: 1e-4,
                mode: Mode::Auto,
                cooldown: 0,
                min_lr: 1e-6,
            }),
            augment: None,
        }
    }

    fn fingerprints() -> Fingerprints {
        Fingerprints {
            train: Some("1".repeat(64)),
            validation: None,
            test: Some("2".repeat(64)),
            weights: Some("3".repeat(64)),
            trainer: None,
        }
    }

    /// Every result on every disk is found by its id: when this fails, ids have changed, and either the
    /// change is an accident or [`TRAINING_SEMANTICS`] has to be raised with it.
    #[test]
    fn ids_stay_what_they_are() {
        let id = RunId::of(&config().into(), 1, &fingerprints());
        insta::assert_snapshot!(id, @r"d7bc0cfa00a1c2fd5d7cfdf95ce3922780c78e59eae30ee1426a98ed0c2bfc38");
        insta::assert_snapshot!(slug(&config().into(), 1), @r"efficientnet_lite0-last10-gap-b32-lr0.0001-s1");
    }

    fn own() -> Own {
        let params = [("lr", serde_json::json!(0.1)), ("shape", serde_json::json!([2, 3]))];
        Own {
            trainer: Trainer {
                command: ["python3", "train.py"].map(str::to_owned).into(),
                protocol: Protocol::Simple,
                metrics: Metrics::Stdout,
                files: Vec::new(),
                folder: "/sweeps".into(),
            },
            params: params.map(|(name, value)| (name.to_owned(), value)).into(),
            data: Some(config().data),
            model: None,
            train: None,
            early_stopping: None,
            reduce_lr_on_plateau: None,
            augment: None,
        }
    }

    /// As for the built-in trainer, with [`TRAINER_INTERFACE`].
    #[test]
    fn ids_of_own_trainers_stay_what_they_are() {
        let fingerprints =
            Fingerprints { trainer: Some("4".repeat(64)), weights: None, ..fingerprints() };
        let id = |own: Own, fingerprints: &Fingerprints| RunId::of(&own.into(), 1, fingerprints);
        let plain = id(own(), &fingerprints);
        insta::assert_snapshot!(plain, @"707ca549477fddd0d9ee332ed67d711b88704ddf17e5241656eecec2c5100e81");
        insta::assert_snapshot!(slug(&own().into(), 1), @"train-lr0.1-s1");
        let mut moved = own();
        moved.trainer.folder = "/elsewhere".into();
        moved.data.as_mut().unwrap().train = "/elsewhere/train".into();
        assert_eq!(id(moved, &fingerprints), plain);
        let mut command = own();
        command.trainer.command.push("--fast".to_owned());
        let mut setting = own();
        setting.params.insert("lr".to_owned(), serde_json::json!(0.2));
        let mut metrics = own();
        metrics.trainer.metrics = Metrics::File;
        for changed in [command, setting, metrics] {
            assert_ne!(id(changed, &fingerprints), plain);
        }
        let changed = Fingerprints { trainer: Some("5".repeat(64)), ..fingerprints };
        assert_ne!(id(own(), &changed), plain, "a changed script is other work");
    }

    #[test]
    fn numbers_in_slugs_are_short() {
        let table = [
            (1.0, "1"),
            (0.0001, "0.0001"),
            (0.00001, "0.00001"),
            (2.5e-7, "0.00000025"),
            (1e-300, "1e-300"),
            (1e300, "1e300"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        ];
        for (number, expected) in table {
            assert_eq!(short(number), expected);
        }
    }

    /// Also holds when a dependency switches on serde_json's `preserve_order`: then this fails.
    #[test]
    fn canonical_json_has_sorted_keys() {
        #[derive(Serialize)]
        struct Unsorted {
            b: u32,
            a: Inner,
        }
        #[derive(Serialize)]
        struct Inner {
            d: f64,
            c: Option<u32>,
        }
        let json = canonical_json(&Unsorted { b: 1, a: Inner { d: 1e-4, c: None } });
        assert_eq!(String::from_utf8(json).unwrap(), r#"{"a":{"c":null,"d":0.0001},"b":1}"#);
    }

    #[test]
    fn paths_do_not_count_but_what_is_there_does() {
        let id = |config: &Builtin| RunId::of(&config.clone().into(), 1, &fingerprints());
        let mut moved = config();
        moved.data.train = "/elsewhere".into();
        moved.data.test = Some("/elsewhere".into());
        moved.model.weights = Weights::File("/elsewhere.safetensors".into());
        moved.early_stopping.as_mut().unwrap().verbose = 0;
        assert_eq!(id(&moved), id(&config()));

        let mut automatic = config();
        automatic.model.precision = Precision::Auto;
        assert_eq!(id(&automatic), id(&config()));

        let mut short = config();
        short.model.precision = Precision::Bf16;
        let mut untested = config();
        untested.data.test = None;
        let mut random = config();
        random.model.weights = Weights::None;
        let mut folder = config();
        folder.data.validation = Validation::Folder("/validation".into());
        for changed in [short, untested, random, folder] {
            assert_ne!(id(&changed), id(&config()), "{changed:?}");
        }
    }

    #[test]
    fn ids_are_read_back() {
        let id = RunId::of(&config().into(), 1, &fingerprints());
        assert_eq!(id.to_string().parse::<RunId>().unwrap(), id);
        assert_eq!(serde_json::from_str::<RunId>(&format!("\"{id}\"")).unwrap(), id);
        for text in ["", "12", &"g".repeat(64)] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
