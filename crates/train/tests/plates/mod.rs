//! Small photographs for tests, and runs on them.

use std::path::Path;

use image::{Rgb, RgbImage};
use spec::config::Builtin as Config;
use spec::protocol::RunOrder;
use spec::run_id::RunId;
use tempfile::TempDir;

/// Side of the images as the networks see them, in pixels.
pub(crate) const SIDE: u32 = 32;

/// Folders `train` and `test` with classes that differ by colour, eight and two images each.
pub(crate) fn plates(classes: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (set, count) in [("train", 8), ("test", 2)] {
        for (class, number) in classes.iter().zip(0u32..) {
            let folder = root.path().join(set).join(class);
            fs_err::create_dir_all(&folder).unwrap();
            for image in 0..count {
                plate(number, image).save(folder.join(format!("{image}.jpg"))).unwrap();
            }
        }
    }
    root
}

/// A disc on a ground whose shade differs from image to image.
fn plate(class: u32, image: u32) -> RgbImage {
    RgbImage::from_fn(48, 40, |x, y| {
        let (dx, dy) = (x as f32 - 24.0, y as f32 - 20.0);
        let shade = (90 + 12 * image + (7 * x + 5 * y) % 16) as u8;
        let mut pixel = [shade; 3];
        if dx.hypot(dy) < 15.0 {
            pixel[class as usize % 3] = 250;
        }
        Rgb(pixel)
    })
}

/// A run on `root` that takes a moment: small images, drawn weights. `edit` changes its
/// configuration, as JSON.
pub(crate) fn order(root: &Path, number: u8, edit: serde_json::Value) -> RunOrder {
    let mut config = serde_json::json!({
        "data": {
            "train": root.join("train"),
            "test": root.join("test"),
            "validation": 0.25,
            "image_size": SIDE,
        },
        "model": { "weights": "none" },
        "train": { "batch_size": 8, "learning_rate": 0.01, "epochs": 3, "steps_per_epoch": 4 },
    });
    merge(&mut config, edit);
    let config: Config = serde_json::from_value(config).unwrap();
    let run = RunId::from_digest([number; 32]);
    RunOrder { run, seed: 1, config, weights: None, weights_fingerprint: None, fingerprints: None }
}

fn merge(into: &mut serde_json::Value, edit: serde_json::Value) {
    match (into, edit) {
        (serde_json::Value::Object(into), serde_json::Value::Object(edit)) => {
            for (key, value) in edit {
                merge(into.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, edit) => *into = edit,
    }
}
