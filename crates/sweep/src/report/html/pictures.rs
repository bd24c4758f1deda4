//! Images that flip: told right under one level, and wrong under another.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageReader, Limits};
use rayon::prelude::*;

use super::details::{Details, RowDetails, Told};
use super::figures::groups;
use crate::report::{Basis, Table};

/// Images shown of each factor.
const IMAGES: usize = 10;
/// Thumbnails of a sweep: some two kilobytes each.
const THUMBNAILS: usize = 60;
/// Sides of a thumbnail, at most, in pixels: it is shown at half of that on fine screens.
const SIDE: u32 = 128;
/// Levels beside each other.
const LEVELS: usize = 8;

/// The images of a factor that its levels tell most differently.
#[derive(Debug)]
pub(super) struct Flips {
    pub(super) factor: String,
    pub(super) levels: Vec<String>,
    pub(super) images: Vec<Flip>,
    /// How many images flip in all, of how many.
    pub(super) flipping: usize,
    pub(super) of: usize,
}

/// An image.
#[derive(Debug)]
pub(super) struct Flip {
    pub(super) name: String,
    /// What it is told by each level; absent where it was not asked about.
    pub(super) told: Vec<Option<Told>>,
    pub(super) label: String,
    /// The picture itself as a data URI, where it can be reached.
    pub(super) picture: Option<String>,
}

/// The flips of each factor.
pub(super) fn flips(table: &Table, details: &Details) -> Vec<Flips> {
    let mut left = THUMBNAILS;
    let mut flips = Vec::new();
    for group in groups(table) {
        let rows: Vec<(usize, &RowDetails)> = group
            .iter()
            .filter_map(|at| Some((*at, details.rows[*at].as_ref()?)))
            .filter(|(_, row)| !row.told.is_empty())
            .take(LEVELS)
            .collect();
        if rows.len() < 2 {
            continue;
        }
        let names: BTreeSet<&String> = rows.iter().flat_map(|(_, row)| row.told.keys()).collect();
        let of = names.len();
        let mut ranked: Vec<(f64, &String)> = names
            .into_iter()
            .map(|name| (spread(rows.iter().filter_map(|(_, row)| row.told.get(name))), name))
            .filter(|(spread, _)| *spread > 0.0)
            .collect();
        ranked.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let flipping = ranked.len();
        ranked.truncate(IMAGES);
        let shown = ranked.len().min(left);
        left -= shown;
        let images: Vec<Flip> = ranked
            .par_iter()
            .enumerate()
            .map(|(at, (_, name))| {
                let told = || rows.iter().map(|(_, row)| row.told.get(*name));
                let label = told().flatten().next().map(|told| told.label.clone());
                let folder = rows.iter().find_map(|(at, row)| folder(table.rows[*at].basis?, row));
                Flip {
                    name: (*name).clone(),
                    told: told().map(Option::<&Told>::cloned).collect(),
                    label: label.unwrap_or_default(),
                    picture: folder
                        .filter(|_| at < shown)
                        .and_then(|folder| thumbnail(&folder, name)),
                }
            })
            .collect();
        let level = |at: usize| table.rows[at].level.clone();
        let factor = table.rows[group[0]].factor.clone();
        let levels = rows.iter().map(|(at, _)| level(*at)).collect();
        flips.push(Flips { factor, levels, images, flipping, of });
    }
    flips
}

/// How differently levels tell an image: the distance between the best and the worst of them.
fn spread<'a>(told: impl Iterator<Item = &'a Told>) -> f64 {
    let shares: Vec<f64> = told
        .filter(|told| told.times() > 0)
        .map(|told| f64::from(told.right()) / f64::from(told.times()))
        .collect();
    let most = shares.iter().copied().reduce(f64::max).unwrap_or(0.0);
    most - shares.iter().copied().reduce(f64::min).unwrap_or(0.0)
}

/// Where the images lay when they were asked about.
fn folder(basis: Basis, row: &RowDetails) -> Option<PathBuf> {
    let data = &row.asked.as_ref()?.config.builtin()?.data;
    match (basis, &data.validation) {
        (Basis::Test, _) => data.test.clone(),
        (_, spec::config::Validation::Folder(folder)) => Some(folder.clone()),
        _ => Some(data.train.clone()),
    }
}

/// A small JPEG of an image; nothing where it cannot be read. The name comes from a file that anybody may
/// have written: it leads nowhere but into the folder.
fn thumbnail(folder: &Path, name: &str) -> Option<String> {
    let name = Path::new(name);
    if !name.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let bytes = fs_err::read(folder.join(name)).ok()?;
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(20_000);
    limits.max_image_height = Some(20_000);
    reader.limits(limits);
    let small = reader.decode().ok()?.thumbnail(SIDE, SIDE).into_rgb8();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 72).encode_image(&small).ok()?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("test");
        fs_err::create_dir_all(&folder).unwrap();
        let picture = image::RgbImage::from_pixel(300, 200, image::Rgb([200, 10, 10]));
        picture.save(root.path().join("out.png")).unwrap();
        picture.save(folder.join("in.png")).unwrap();
        let uri = thumbnail(&folder, "in.png").unwrap();
        assert!(uri.starts_with("data:image/jpeg;base64,") && uri.len() < 3000, "{}", uri.len());
        for name in ["../out.png", "/etc/passwd", "none.png", "./../out.png", ""] {
            assert_eq!(thumbnail(&folder, name), None, "{name}");
        }
        fs_err::write(folder.join("text.jpg"), "<script>").unwrap();
        assert_eq!(thumbnail(&folder, "text.jpg"), None);
    }

    #[test]
    fn the_best_and_the_worst_level_decide() {
        let told = |right, wrong| Told {
            label: "a".to_owned(),
            said: [("a".to_owned(), right), ("b".to_owned(), wrong)].into(),
        };
        let spread = |told: &[Told]| spread(told.iter());
        assert!((spread(&[told(10, 0), told(3, 7), told(5, 5)]) - 0.7).abs() < 1e-12);
        assert!(spread(&[told(5, 5), told(1, 1)]).abs() < 1e-12);
        assert!(spread(&[]).abs() < 1e-12);
    }
}
