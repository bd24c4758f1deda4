//! Small pictures of the images, as a part of the page.

use std::io::Cursor;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageReader, Limits};

/// Side of the square that a picture fits into, for screens of twice the density.
const SIDE: u32 = 192;
/// Of JPEG: small, and good enough to see a plate.
const QUALITY: u8 = 60;
/// Larger pictures are not decoded: a report is no place to run out of memory.
const MOST_PIXELS: u32 = 12_000;
/// Of all pictures together.
const MOST_BYTES: usize = 1_500_000;

/// Makes pictures of the images in a folder, as long as there is room in the page.
#[derive(Debug)]
pub(super) struct Thumbnails {
    folder: Option<PathBuf>,
    room: usize,
}

impl Thumbnails {
    /// Of the images under `folder`; without one there are no pictures.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, room: MOST_BYTES }
    }

    /// The picture as an address that holds it; nothing where the image is not there any more, or there is
    /// no room.
    pub(super) fn of(&mut self, image: &str) -> Option<String> {
        let path = self.folder.as_ref()?.join(inside(image)?);
        let bytes = match draw(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::debug!("no picture of {}: {error}", path.display());
                return None;
            }
        };
        let address = format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes));
        self.room = self.room.checked_sub(address.len())?;
        Some(address)
    }
}

/// The path, if it leads nowhere but down: it was read from a file.
fn inside(image: &str) -> Option<&Path> {
    let path = Path::new(image);
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

fn draw(path: &Path) -> Result<Vec<u8>, image::ImageError> {
    let file = std::io::BufReader::new(fs_err::File::open(path)?);
    let mut reader = ImageReader::new(file).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_PIXELS);
    limits.max_image_height = Some(MOST_PIXELS);
    reader.limits(limits);
    let small = reader.decode()?.thumbnail(SIDE, SIDE).to_rgb8();
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&small)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    #[test]
    fn a_picture_fits_into_its_square_and_the_page() {
        let folder = tempfile::tempdir().unwrap();
        RgbImage::new(400, 100).save(folder.path().join("wide.png")).unwrap();
        let mut thumbnails = Thumbnails::new(Some(folder.path().to_owned()));
        let address = thumbnails.of("wide.png").unwrap();
        let bytes = STANDARD.decode(address.strip_prefix("data:image/jpeg;base64,").unwrap()).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (192, 48));
        thumbnails.room = 10;
        assert_eq!(thumbnails.of("wide.png"), None);
    }

    #[test]
    fn what_lies_elsewhere_or_is_no_image_has_no_picture() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        fs_err::create_dir(&below).unwrap();
        RgbImage::new(4, 4).save(folder.path().join("above.png")).unwrap();
        fs_err::write(below.join("text.png"), "no image").unwrap();
        let mut thumbnails = Thumbnails::new(Some(below.clone()));
        let above = folder.path().join("above.png");
        for image in ["../above.png", above.to_str().unwrap(), "text.png", "missing.png", "."] {
            assert_eq!(thumbnails.of(image), None, "{image}");
        }
        assert_eq!(Thumbnails::new(None).of("text.png"), None);
    }
}
