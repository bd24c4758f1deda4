//! Intervals, and which sources of chance they cover.

use serde::Serialize;

use crate::distribution::{beta_quantile, t_upper};

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether a value lies in it, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Half of its length.
    pub fn half_width(&self) -> f64 {
        0.5 * (self.high - self.low)
    }
}

/// What an interval allows for, and so what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Covers {
    /// Other seeds and other test images: it is about the setting.
    SeedsAndImages,
    /// Other seeds on the same test images: it is about the setting, on these images.
    Seeds,
    /// Other test images for the same trained models: it is not about the setting.
    Images,
}

impl Covers {
    /// In words: "an interval over ...".
    pub fn words(self) -> &'static str {
        match self {
            Self::SeedsAndImages => "other seeds and other test images",
            Self::Seeds => "other seeds on these test images",
            Self::Images => "other test images for these trained models",
        }
    }
}

/// The exact interval of a share of `images` images of which `right` were classified right (Clopper
/// and Pearson, Biometrika 26, 1934). It covers at least as often as it says.
pub fn clopper_pearson(right: u64, images: u64, confidence: f64) -> Interval {
    binomial(right as f64 / images as f64, images as f64, confidence)
}

/// Clopper and Pearson's interval at an effective number of images: as many independent ones as would
/// give a normal interval of `half_width` (Korn and Graubard, Survey Methodology 24, 1998).
///
/// Between 0 and 1 a symmetric interval is wrong near the ends, above all with few images; this one is
/// not. The effective number is at most `most`; where all cells agree it is `images`, and below 30
/// images it never exceeds them: so few do not tell how images differ.
pub(crate) fn effective_binomial(
    mean: f64,
    half_width: f64,
    images: f64,
    most: f64,
    confidence: f64,
) -> Interval {
    let spread = mean * (1.0 - mean);
    let cap = if images < FEW_IMAGES { images } else { most };
    let effective = if spread > 0.0 && half_width > 0.0 {
        let z = t_upper(0.5 * (1.0 - confidence), f64::INFINITY);
        (spread * (z / half_width) * (z / half_width)).min(cap)
    } else {
        images
    };
    binomial(mean, effective, confidence)
}

/// Below that many images their variance is not taken from them alone.
const FEW_IMAGES: f64 = 30.0;

/// Clopper and Pearson's interval of a share, which several models of one seed may have made one of a
/// fractional count.
pub(crate) fn binomial(share: f64, images: f64, confidence: f64) -> Interval {
    let tail = 0.5 * (1.0 - confidence);
    let (right, wrong) = (share * images, (1.0 - share) * images);
    let low = if right <= 0.0 { 0.0 } else { beta_quantile(tail, right, wrong + 1.0) };
    let high = if wrong <= 0.0 { 1.0 } else { beta_quantile(1.0 - tail, right + 1.0, wrong) };
    Interval { low, high }
}
