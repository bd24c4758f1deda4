//! Random changes of the training images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Random changes of the training images: `ImageDataGenerator`'s, by its names.
/// <https://www.tensorflow.org/api_docs/python/tf/keras/preprocessing/image/ImageDataGenerator>
///
/// An image is turned, shifted, sheared and scaled in one step, then its channels are shifted, then it
/// is mirrored, then its brightness changed. Images to validate or test on stay as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Turned by up to this many degrees either way; from 0 to 360.
    #[serde(default)]
    #[schemars(range(min = 0, max = 360))]
    pub rotation_range: f64,
    /// How far images move left and right.
    #[serde(default)]
    #[schemars(with = "f64", range(min = 0))]
    pub width_shift_range: Shift,
    /// How far images move up and down.
    #[serde(default)]
    #[schemars(with = "f64", range(min = 0))]
    pub height_shift_range: Shift,
    /// Sheared by an angle of up to this many degrees either way; from 0 to 89.
    #[serde(default)]
    #[schemars(range(min = 0, max = 89))]
    pub shear_range: f64,
    /// Which share of each side is seen.
    #[serde(default)]
    pub zoom_range: Zoom,
    /// The least and the most that brightness is multiplied with; 0 or more. Absent: it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(min = 0)))]
    pub brightness_range: Option<[f64; 2]>,
    /// Up to this much is added to or taken from all channels, of 255.
    #[serde(default)]
    #[schemars(range(min = 0, max = 255))]
    pub channel_shift_range: f64,
    /// Mirrors half of the images left to right.
    #[serde(default)]
    pub horizontal_flip: bool,
    /// Turns half of the images upside down.
    #[serde(default)]
    pub vertical_flip: bool,
    /// What stands where a changed image has no pixels of its own.
    #[serde(default)]
    pub fill_mode: FillMode,
    /// The value that `fill_mode = "constant"` fills with, of 255.
    #[serde(default)]
    #[schemars(range(min = 0, max = 255))]
    pub cval: f64,
    /// How many variants there are of each image.
    #[serde(default)]
    pub views: Views,
}

impl Augment {
    /// What there is to do: none when no setting changes an image, and without a `cval` that fills nothing.
    /// What trains alike is equal then.
    pub fn effective(self) -> Option<Self> {
        let cval = if self.fill_mode == FillMode::Constant { self.cval } else { 0.0 };
        self.changes_images().then_some(Self { cval, ..self })
    }

    fn changes_images(&self) -> bool {
        self.rotation_range != 0.0
            || self.width_shift_range.moves()
            || self.height_shift_range.moves()
            || self.shear_range != 0.0
            || self.zoom_range.bounds() != [1.0; 2]
            || self.brightness_range.is_some_and(|range| range != [1.0; 2])
            || self.channel_shift_range != 0.0
            || self.horizontal_flip
            || self.vertical_flip
    }
}

/// How far images are shifted, in Keras's reading of the number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Shift {
    /// A whole number: by 0, 1, ... pixels, but fewer than this many, either way.
    Pixels(u32),
    /// With a decimal point: by anything up to it either way; below 1 a share of the side, else pixels.
    UpTo(f64),
}

impl Default for Shift {
    fn default() -> Self {
        Self::Pixels(0)
    }
}

impl Shift {
    /// Whether it ever moves an image. `Pixels(1)` leaves 0 pixels alone.
    pub fn moves(self) -> bool {
        match self {
            Self::Pixels(pixels) => pixels > 1,
            Self::UpTo(range) => range > 0.0,
        }
    }

    /// Farther than any shift of an image with sides of `side` pixels, in pixels.
    pub fn limit(self, side: u32) -> f64 {
        match self {
            Self::Pixels(pixels) => pixels.into(),
            Self::UpTo(range) if range < 1.0 => range * f64::from(side),
            Self::UpTo(range) => range,
        }
    }
}

/// Which share of each side of an image is seen, drawn for width and height apart. Below 1 enlarges.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Zoom {
    /// From 1 less this to 1 more; 0 or more and below 1.
    By(#[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))] f64),
    /// From the first to the second; above 0.
    Between(#[schemars(extend("items" = { "type": "number", "exclusiveMinimum": 0 }))] [f64; 2]),
}

impl Default for Zoom {
    fn default() -> Self {
        Self::By(0.0)
    }
}

impl Zoom {
    /// The least and the largest share.
    pub fn bounds(self) -> [f64; 2] {
        match self {
            Self::By(by) => [1.0 - by, 1.0 + by],
            Self::Between(bounds) => bounds,
        }
    }
}

/// What stands where a changed image has no pixels of its own: beside `abcd` ...
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FillMode {
    /// `aaaa|abcd|dddd`
    #[default]
    Nearest,
    /// `kkkk|abcd|kkkk`, `k` being `cval`.
    Constant,
    /// `dcba|abcd|dcba`
    Reflect,
    /// `dabc|abcd|bcda`: as SciPy has it, the first pixel and the last are one.
    Wrap,
}

/// How many variants there are of each training image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "WrittenViews", into = "WrittenViews")]
#[schemars(with = "WrittenViews")]
pub enum Views {
    /// A new one in every pass, drawn by the run's seed, as in Keras. A frozen prefix computes its
    /// features in every step.
    Fresh,
    /// This many, the same in every run; from 1 to 1000. A pass shows them all. The features that a
    /// frozen prefix makes of them are computed once.
    Fixed(u32),
}

impl Default for Views {
    /// Eight: most of what augmentation gives, at eight times the features instead of thousands.
    fn default() -> Self {
        Self::Fixed(8)
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenViews {
    Word(ViewsWord),
    Fixed(#[schemars(range(min = 1, max = 1000))] u32),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ViewsWord {
    Fresh,
}

impl From<WrittenViews> for Views {
    fn from(written: WrittenViews) -> Self {
        match written {
            WrittenViews::Word(ViewsWord::Fresh) => Self::Fresh,
            WrittenViews::Fixed(views) => Self::Fixed(views),
        }
    }
}

impl From<Views> for WrittenViews {
    fn from(views: Views) -> Self {
        match views {
            Views::Fresh => Self::Word(ViewsWord::Fresh),
            Views::Fixed(views) => Self::Fixed(views),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_that_change_nothing_are_known() {
        for (settings, changes) in [
            (json!({}), false),
            (json!({ "views": 3, "fill_mode": "constant", "cval": 9 }), false),
            (json!({ "zoom_range": [1, 1], "brightness_range": [1.0, 1.0] }), false),
            (
                json!({ "rotation_range": 0, "horizontal_flip": false, "width_shift_range": 1 }),
                false,
            ),
            (json!({ "rotation_range": 1 }), true),
            (json!({ "width_shift_range": 2 }), true),
            (json!({ "height_shift_range": 0.1 }), true),
            (json!({ "shear_range": 0.5 }), true),
            (json!({ "zoom_range": 0.1 }), true),
            (json!({ "brightness_range": [1, 2] }), true),
            (json!({ "channel_shift_range": 1 }), true),
            (json!({ "horizontal_flip": true }), true),
            (json!({ "vertical_flip": true }), true),
        ] {
            let augment: Augment = serde_json::from_value(settings.clone()).unwrap();
            assert_eq!(augment.clone().effective(), changes.then_some(augment), "{settings}");
        }
    }

    #[test]
    fn a_value_that_fills_nothing_is_forgotten() {
        for (fill_mode, cval) in [("nearest", 0.0), ("wrap", 0.0), ("constant", 9.0)] {
            let settings = json!({ "rotation_range": 5, "fill_mode": fill_mode, "cval": 9 });
            let augment: Augment = serde_json::from_value(settings).unwrap();
            assert_eq!(augment.effective().unwrap().cval, cval, "{fill_mode}");
        }
    }

    #[test]
    fn numbers_keep_their_decimal_point() {
        let text = r#"{"width_shift_range":2,"height_shift_range":2.0,"views":"fresh"}"#;
        let augment: Augment = serde_json::from_str(text).unwrap();
        assert_eq!(augment.width_shift_range, Shift::Pixels(2));
        assert_eq!(augment.height_shift_range, Shift::UpTo(2.0));
        assert_eq!(augment.views, Views::Fresh);
        let again = serde_json::from_str(&serde_json::to_string(&augment).unwrap()).unwrap();
        assert_eq!(augment, again);
    }
}
