//! From a file to pixels.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use fs_err as fs;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use rayon::prelude::*;

use super::Folder;

/// Larger images than this are taken for bombs: 1 GiB decoded.
const MOST_BYTES: u64 = 1 << 30;
const LONGEST_SIDE: u32 = 32_768;

/// Images decoded between two reports of progress.
const REPORT: usize = 64;

/// An image that cannot be turned into pixels.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DecodeError {
    #[error("an image cannot be read")]
    Read(#[from] std::io::Error),
    #[error("{path} cannot be decoded")]
    Decode { path: PathBuf, source: image::ImageError },
    #[error("{path} is cut short: its JPEG data ends before the end marker")]
    Truncated { path: PathBuf },
    #[error("{path} cannot be resized")]
    Resize { path: PathBuf, source: fast_image_resize::ResizeError },
}

/// Decodes all images of a folder to squares of `side` pixels: `[images, side, side, 3]` bytes.
///
/// `report` is told how many images are done; its error ends the work.
///
/// # Errors
/// At an image that cannot be decoded, which the error names.
pub fn decode_all<E: From<DecodeError>>(
    folder: &Folder,
    side: u32,
    mut report: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let bytes = 3 * side as usize * side as usize;
    let mut pixels = vec![0; bytes * folder.images.len()];
    for (batch, (pixels, images)) in
        pixels.chunks_mut(bytes * REPORT).zip(folder.images.chunks(REPORT)).enumerate()
    {
        report(batch * REPORT)?;
        pixels
            .par_chunks_mut(bytes)
            .zip(images)
            .try_for_each(|(pixels, image)| decode(&folder.root.join(&image.name), side, pixels))?;
    }
    report(folder.images.len())?;
    Ok(pixels)
}

/// Decodes an image to a square of `side` pixels, `pixels` being its rows in red, green, blue.
///
/// The camera's orientation is honoured, transparency dropped, and the image squashed to the square by
/// an antialiased bilinear filter: Pillow's `BILINEAR`.
///
/// # Errors
/// When the file cannot be read or is no intact JPEG, PNG or WebP image; the error names it.
pub fn decode(path: &Path, side: u32, pixels: &mut [u8]) -> Result<(), DecodeError> {
    let bytes = fs::read(path)?;
    let image =
        read(&bytes).map_err(|source| DecodeError::Decode { path: path.to_owned(), source })?;
    if image::guess_format(&bytes).ok() == Some(ImageFormat::Jpeg) && !has_end(&bytes) {
        return Err(DecodeError::Truncated { path: path.to_owned() });
    }
    resize(&image, side, pixels)
        .map_err(|source| DecodeError::Resize { path: path.to_owned(), source })
}

fn read(bytes: &[u8]) -> Result<RgbImage, image::ImageError> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
}

fn resize(
    image: &RgbImage,
    side: u32,
    pixels: &mut [u8],
) -> Result<(), fast_image_resize::ResizeError> {
    let (width, height) = image.dimensions();
    if (width, height) == (side, side) {
        pixels.copy_from_slice(image.as_raw());
        return Ok(());
    }
    // The buffers are of these sizes by construction.
    let source = ImageRef::new(width, height, image.as_raw(), PixelType::U8x3);
    let target = Image::from_slice_u8(side, side, pixels, PixelType::U8x3);
    let (Ok(source), Ok(mut target)) = (source, target) else {
        unreachable!("an RGB image has three bytes a pixel")
    };
    let bilinear = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut target, &bilinear)
}

/// Whether a JPEG's markers lead to its end marker. Decoders fill what a truncated file lacks with
/// grey, which would then be trained on. Layout: <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, B.1.1.
fn has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const END: u8 = 0xd9;
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        // Entropy-coded data holds no marker but restarts; a literal 0xff is followed by 0.
        let marker = rest
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff));
        let Some(at) = marker else { return false };
        match rest[at + 1] {
            END => return true,
            START_OF_SCAN => rest = &rest[at + 2..],
            _ => {
                let Some(&[high, low]) = rest.get(at + 2..at + 4) else { return false };
                let length = usize::from(u16::from_be_bytes([high, low]));
                let Some(after) = rest.get(at + 2 + length..) else { return false };
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{ExtendedColorType, ImageEncoder};

    use super::*;

    const ROTATED_RIGHT: &[u8] =
        b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

    /// Left half red, right half blue.
    fn halves(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, _| {
            image::Rgb(if x < width / 2 { [255, 0, 0] } else { [0, 0, 255] })
        })
    }

    fn jpeg(image: &RgbImage, exif: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        if let Some(exif) = exif {
            encoder.set_exif_metadata(exif.to_vec()).unwrap();
        }
        let (width, height) = image.dimensions();
        encoder.write_image(image.as_raw(), width, height, ExtendedColorType::Rgb8).unwrap();
        bytes
    }

    fn decoded(bytes: &[u8], side: u32) -> Result<Vec<u8>, DecodeError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plate.jpg");
        fs::write(&path, bytes).unwrap();
        let mut pixels = vec![0; 3 * (side * side) as usize];
        decode(&path, side, &mut pixels).map(|()| pixels)
    }

    #[test]
    fn an_image_is_squashed_and_turned_upright() {
        let reddish = |pixel: &[u8]| pixel[0] > 200 && pixel[2] < 60;
        let upright = decoded(&jpeg(&halves(64, 16), None), 8).unwrap();
        assert!(
            reddish(&upright[..3]) && !reddish(&upright[21..24]) && reddish(&upright[7 * 24..])
        );
        // Turned by a quarter to the right, what was left is on top.
        let turned = decoded(&jpeg(&halves(64, 16), Some(ROTATED_RIGHT)), 8).unwrap();
        assert!(reddish(&turned[..3]) && reddish(&turned[21..24]) && !reddish(&turned[7 * 24..]));
    }

    #[test]
    fn a_truncated_jpeg_is_named_wherever_it_ends() {
        let bytes = jpeg(&halves(64, 64), Some(ROTATED_RIGHT));
        assert!(decoded(&bytes, 8).is_ok());
        for end in 0..bytes.len() {
            let error = decoded(&bytes[..end], 8).expect_err("an error");
            assert!(error.to_string().contains("plate.jpg"), "{end}: {error}");
        }
    }

    #[test]
    fn what_follows_the_end_of_a_jpeg_does_not_matter() {
        let mut bytes = jpeg(&halves(64, 64), None);
        bytes.extend(b"trailer");
        assert!(decoded(&bytes, 8).is_ok());
    }

    #[test]
    fn resizing_is_antialiased() {
        // Stripes one pixel wide average out; without antialiasing they would alias to black or white.
        let stripes = RgbImage::from_fn(64, 64, |x, _| {
            image::Rgb(if x % 2 == 0 { [0; 3] } else { [255; 3] })
        });
        let mut pixels = vec![0; 3 * 16 * 16];
        resize(&stripes, 16, &mut pixels).unwrap();
        assert!(
            pixels[24..27].iter().all(|value| (120..136).contains(value)),
            "{:?}",
            &pixels[24..27]
        );
    }
}
