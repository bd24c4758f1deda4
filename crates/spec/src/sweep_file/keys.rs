//! The keys that a configuration has, and how sweep files name them.
//!
//! They are read from the JSON Schemas of [`Builtin`] and [`Own`], so that the structs stay the only list of keys.

use std::sync::LazyLock;

use serde_json::Value as Schema;

use super::kind::{Kind, followed, is_optional};
use super::suggest::nearest;
use crate::config::{Builtin, Own};

/// Every key of [`Builtin`].
pub(super) static KEYS: LazyLock<Keys> =
    LazyLock::new(|| Keys::new(schemars::schema_for!(Builtin).as_value()));

/// The section of settings that a trainer of the user's own has.
pub(super) const PARAMS: &str = "params";

/// Bare names that several sections have and that mean this one's, as the source document uses them.
const MEANT_SECTION: &str = "early_stopping";

#[derive(Debug)]
pub(super) struct Keys {
    /// In the order in which files list them.
    pub(super) sections: Vec<Section>,
}

/// A table of keys, such as `[train]`.
#[derive(Debug, PartialEq)]
pub(super) struct Section {
    pub(super) name: String,
    /// Whether it may be switched off.
    pub(super) optional: bool,
    pub(super) keys: Vec<Key>,
}

/// One setting, such as `train.batch_size`.
#[derive(Debug, PartialEq)]
pub(super) struct Key {
    /// Section and name.
    pub(super) path: String,
    pub(super) name: String,
    /// Whether it may be left out for good, that is, whether absence means something of its own.
    pub(super) optional: bool,
    /// Whether there is nothing to assume when it is left out.
    pub(super) required: bool,
    pub(super) kind: Kind,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Section(&'static Section),
    Key(&'static Section, &'static Key),
}

/// A name that stands for nothing, or for too much.
#[derive(Debug)]
pub(super) enum NameError {
    Unknown,
    /// The paths it could mean.
    Ambiguous(Vec<&'static str>),
}

impl Keys {
    fn new(schema: &Schema) -> Self {
        let sections = schema["properties"].as_object().into_iter().flatten();
        Self {
            sections: sections.map(|(name, section)| Section::new(name, section, schema)).collect(),
        }
    }

    /// Those of the built-in trainer.
    pub(super) fn builtin() -> &'static Self {
        &KEYS
    }

    /// Those of a trainer of the user's own that has the settings `params`.
    pub(super) fn own(params: Section) -> Self {
        let mut keys = Self::new(schemars::schema_for!(Own).as_value());
        keys.sections.retain(|section| section.name != PARAMS);
        keys.sections.push(params);
        keys
    }

    /// Whether the built-in trainer trains.
    pub(super) fn are_builtin(&self) -> bool {
        self.section(PARAMS).is_none()
    }

    /// What `name` stands for: a setting of a trainer of the user's own, a section, a path such as
    /// `train.batch_size`, or a key's own name where one section alone has it.
    pub(super) fn find(&'static self, name: &str) -> Result<Target, NameError> {
        if let Some(params) = self.section(PARAMS)
            && let Some(key) = params.key(name)
        {
            return Ok(Target::Key(params, key));
        }
        if let Some(section) = self.section(name) {
            return Ok(Target::Section(section));
        }
        if let Some((section, key)) = name.split_once('.') {
            let section = self.section(section).ok_or(NameError::Unknown)?;
            let key = section.key(key).ok_or(NameError::Unknown)?;
            return Ok(Target::Key(section, key));
        }
        let mut found: Vec<_> = self.named(name).collect();
        if found.len() > 1 {
            found.sort_by_key(|(section, _)| section.name != MEANT_SECTION);
            let (first, _) = found[0];
            if first.name == MEANT_SECTION {
                found.truncate(1);
            }
        }
        match found.as_slice() {
            [] => Err(NameError::Unknown),
            [(section, key)] => Ok(Target::Key(section, key)),
            several => Err(NameError::Ambiguous(
                several.iter().map(|(_, key)| key.path.as_str()).collect(),
            )),
        }
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// All keys with this name of their own.
    pub(super) fn named(
        &'static self,
        name: &str,
    ) -> impl Iterator<Item = (&'static Section, &'static Key)> {
        self.sections.iter().filter_map(move |section| Some((section, section.key(name)?)))
    }

    /// The section that has a key of this name.
    pub(super) fn home(&'static self, name: &str) -> Option<&'static str> {
        Some(&self.named(name).next()?.0.name)
    }

    /// The name most like `written`: of a key, a path or a section.
    pub(super) fn nearest(&self, written: &str) -> Option<&str> {
        let names = self.sections.iter().flat_map(|section| {
            let keys = section.keys.iter().flat_map(|key| [key.name.as_str(), key.path.as_str()]);
            keys.chain([section.name.as_str()])
        });
        nearest(written, names)
    }

    /// Every section with its keys, one a line.
    pub(super) fn listing(&self) -> String {
        let lines: Vec<_> = self
            .sections
            .iter()
            .filter(|section| !section.keys.is_empty())
            .map(|section| format!("[{}] {}", section.name, section.listing()))
            .collect();
        lines.join("\n")
    }
}

impl Section {
    fn new(name: &str, schema: &Schema, root: &Schema) -> Self {
        let optional = is_optional(schema);
        let alternatives = schema["anyOf"].as_array().and_then(|kinds| kinds.first());
        let table = followed(alternatives.unwrap_or(schema), root);
        let required = table["required"].as_array();
        let keys = table["properties"].as_object().into_iter().flatten().map(|(key, schema)| Key {
            path: format!("{name}.{key}"),
            name: key.clone(),
            optional: is_optional(schema),
            required: required.is_some_and(|required| required.iter().any(|name| name == key)),
            kind: Kind::new(schema, root),
        });
        Self { name: name.to_owned(), optional, keys: keys.collect() }
    }

    pub(super) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The key most like `written`.
    pub(super) fn nearest(&self, written: &str) -> Option<&str> {
        nearest(written, self.keys.iter().map(|key| key.name.as_str()))
    }

    /// The names of its keys.
    pub(super) fn listing(&self) -> String {
        let names: Vec<_> = self.keys.iter().map(|key| key.name.as_str()).collect();
        names.join(", ")
    }
}

impl Key {
    /// Whether it is a setting of a trainer of the user's own.
    pub(super) fn is_own(&self) -> bool {
        self.path.strip_prefix(PARAMS).is_some_and(|rest| rest.starts_with('.'))
    }
}

impl Target {
    pub(super) fn section(self) -> &'static Section {
        match self {
            Self::Section(section) | Self::Key(section, _) => section,
        }
    }

    /// Whether `false` takes it away.
    pub(super) fn is_optional(self) -> bool {
        match self {
            Self::Section(section) => section.optional,
            Self::Key(_, key) => key.optional,
        }
    }

    /// Section, or section and key.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Section(section) => &section.name,
            Self::Key(_, key) => &key.path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> String {
        match KEYS.find(name) {
            Ok(target) => target.path().to_owned(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn keys_are_found_by_path_and_by_their_own_name() {
        let cases = [
            ("batch_size", "train.batch_size"),
            ("train.batch_size", "train.batch_size"),
            ("backbone", "model.backbone"),
            ("factor", "reduce_lr_on_plateau.factor"),
            ("patience", "early_stopping.patience"),
            ("monitor", "early_stopping.monitor"),
            ("min_delta", "early_stopping.min_delta"),
            ("reduce_lr_on_plateau.patience", "reduce_lr_on_plateau.patience"),
            ("early_stopping", "early_stopping"),
            // A section comes before a key's own name; the key is `data.train`.
            ("train", "train"),
            ("data.train", "data.train"),
            ("batchsize", "Unknown"),
            ("train.backbone", "Unknown"),
            ("train.batch_size.x", "Unknown"),
            ("", "Unknown"),
            (".", "Unknown"),
        ];
        for (name, expected) in cases {
            assert_eq!(path(name), expected, "{name}");
        }
    }

    #[test]
    fn every_field_of_a_configuration_is_a_key() {
        insta::assert_snapshot!(KEYS.listing(), @r"
        [augment] brightness_range, channel_shift_range, cval, fill_mode, height_shift_range, horizontal_flip, rotation_range, shear_range, vertical_flip, views, width_shift_range, zoom_range
        [data] image_size, interpolation, test, train, validation
        [early_stopping] baseline, min_delta, mode, monitor, patience, restore_best_weights, start_from_epoch, verbose
        [model] backbone, dropout, freeze, hidden, kernel_initializer, output, pooling, precision, preprocessing, weights
        [reduce_lr_on_plateau] cooldown, factor, min_delta, min_lr, mode, monitor, patience
        [train] batch_size, class_weight, epochs, label_smoothing, learning_rate, learning_rate_schedule, optimizer, steps_per_epoch, validation_steps
        ");
        let optional: Vec<_> = KEYS
            .sections
            .iter()
            .flat_map(|section| {
                section.optional.then_some(section.name.as_str()).into_iter().chain(
                    section.keys.iter().filter(|key| key.optional).map(|key| key.path.as_str()),
                )
            })
            .collect();
        assert_eq!(
            optional,
            [
                "augment",
                "augment.brightness_range",
                "data.test",
                "early_stopping",
                "early_stopping.baseline",
                "reduce_lr_on_plateau",
                "train.steps_per_epoch",
                "train.validation_steps"
            ]
        );
    }
}
