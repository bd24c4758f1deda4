//! From a file to pixels.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use fs_err as fs;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use rayon::prelude::*;
use spec::config::Interpolation;

use super::Folder;

/// Images with more pixels than this are taken for bombs, as by Pillow:
/// <https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.open>
const MOST_PIXELS: u64 = 178_956_970;
/// What a decoder may allocate: the pixels at 16 bits with transparency, and room to work.
const MOST_BYTES: u64 = 2 << 30;

/// Images decoded between two reports of progress.
const REPORT: usize = 64;

/// An image that cannot be turned into pixels.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DecodeError {
    #[error("an image cannot be read")]
    Read(#[from] std::io::Error),
    #[error("{path} is empty: it holds not a single byte")]
    Empty { path: PathBuf },
    #[error(
        "{path} says that it has more pixels than the {MOST_PIXELS} that an image may have: scale it \
         down"
    )]
    TooLarge { path: PathBuf },
    #[error("{path} cannot be decoded")]
    Decode { path: PathBuf, source: image::ImageError },
    #[error("{path} is cut short: its JPEG data ends before the end marker")]
    Truncated { path: PathBuf },
    #[error("{path} cannot be resized")]
    Resize { path: PathBuf, source: fast_image_resize::ResizeError },
}

/// The square that every image becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Square {
    /// Its side, in pixels.
    pub side: u32,
    /// How pixels are found between pixels.
    pub interpolation: Interpolation,
}

/// Decodes all images of a folder to squares: `[images, side, side, 3]` bytes.
///
/// `report` is told how many images are done; its error ends the work.
///
/// # Errors
/// At an image that cannot be decoded, which the error names.
pub fn decode_all<E: From<DecodeError>>(
    folder: &Folder,
    square: Square,
    mut report: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let bytes = square.bytes();
    let mut pixels = vec![0; bytes * folder.images.len()];
    for (batch, (pixels, images)) in
        pixels.chunks_mut(bytes * REPORT).zip(folder.images.chunks(REPORT)).enumerate()
    {
        report(batch * REPORT)?;
        pixels.par_chunks_mut(bytes).zip(images).try_for_each(|(pixels, image)| {
            decode(&folder.root.join(&image.name), square, pixels)
        })?;
    }
    report(folder.images.len())?;
    Ok(pixels)
}

/// Decodes an image to a square, `pixels` being its rows in red, green, blue.
///
/// The camera's orientation is honoured, which Keras ignores; transparency is dropped without blending,
/// grey repeated and 16 bits scaled to 8. The image is squashed to the square as Pillow's `resize` does
/// it, antialiased unless `interpolation` is `nearest`.
///
/// # Errors
/// When the file cannot be read, is no intact JPEG, PNG or WebP image, or an enormous one; the error
/// names it.
pub fn decode(path: &Path, square: Square, pixels: &mut [u8]) -> Result<(), DecodeError> {
    let bytes = fs::read(path)?;
    if bytes.is_empty() {
        return Err(DecodeError::Empty { path: path.to_owned() });
    }
    let image = read(&bytes).map_err(|refusal| refusal.of(path))?;
    if image::guess_format(&bytes).ok() == Some(ImageFormat::Jpeg) && !has_end(&bytes) {
        return Err(DecodeError::Truncated { path: path.to_owned() });
    }
    resize(&image, square, pixels)
        .map_err(|source| DecodeError::Resize { path: path.to_owned(), source })
}

/// Why bytes are no image, before it is known whose they are.
enum Refusal {
    TooLarge,
    Image(image::ImageError),
}

impl From<image::ImageError> for Refusal {
    fn from(error: image::ImageError) -> Self {
        match error {
            image::ImageError::Limits(_) => Self::TooLarge,
            error => Self::Image(error),
        }
    }
}

impl Refusal {
    fn of(self, path: &Path) -> DecodeError {
        let path = path.to_owned();
        match self {
            Self::TooLarge => DecodeError::TooLarge { path },
            Self::Image(source) => DecodeError::Decode { path, source },
        }
    }
}

fn read(bytes: &[u8]) -> Result<RgbImage, Refusal> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(image::ImageError::IoError)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    // Before anything is allocated for them.
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(Refusal::TooLarge);
    }
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
}

impl Square {
    /// Bytes of the pixels of one.
    pub fn bytes(self) -> usize {
        3 * self.side as usize * self.side as usize
    }

    fn algorithm(self) -> ResizeAlg {
        match self.interpolation {
            Interpolation::Nearest => ResizeAlg::Nearest,
            Interpolation::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Interpolation::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            Interpolation::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
        }
    }
}

fn resize(
    image: &RgbImage,
    square: Square,
    pixels: &mut [u8],
) -> Result<(), fast_image_resize::ResizeError> {
    let (width, height) = image.dimensions();
    let side = square.side;
    if (width, height) == (side, side) {
        pixels.copy_from_slice(image.as_raw());
        return Ok(());
    }
    let options = ResizeOptions::new().resize_alg(square.algorithm());
    if square.interpolation == Interpolation::Nearest {
        return scale((image.as_raw(), width, height), (pixels, side, side), &options);
    }
    // Columns first, then rows, as Pillow: rounding and clipping between the two are seen where filters
    // overshoot.
    let mut narrowed = vec![0; 3 * side as usize * height as usize];
    scale((image.as_raw(), width, height), (&mut narrowed, side, height), &options)?;
    scale((&narrowed, side, height), (pixels, side, side), &options)
}

/// Scales RGB pixels of one width and height to those of another.
fn scale(
    (from, width, height): (&[u8], u32, u32),
    (to, new_width, new_height): (&mut [u8], u32, u32),
    options: &ResizeOptions,
) -> Result<(), fast_image_resize::ResizeError> {
    let source = ImageRef::new(width, height, from, PixelType::U8x3);
    let target = Image::from_slice_u8(new_width, new_height, to, PixelType::U8x3);
    // The buffers are of these sizes by construction.
    let (Ok(source), Ok(mut target)) = (source, target) else {
        unreachable!("an RGB image has three bytes a pixel")
    };
    Resizer::new().resize(&source, &mut target, options)
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

    fn square(side: u32, interpolation: Interpolation) -> Square {
        Square { side, interpolation }
    }

    fn decoded(bytes: &[u8], side: u32) -> Result<Vec<u8>, DecodeError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plate.jpg");
        fs::write(&path, bytes).unwrap();
        let square = square(side, Interpolation::Bilinear);
        let mut pixels = vec![0; square.bytes()];
        decode(&path, square, &mut pixels).map(|()| pixels)
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

    /// Recorded by `scripts/parity/pillow_resize.py`.
    #[test]
    fn resizing_is_pillow_s() {
        #[derive(serde::Deserialize)]
        struct Recorded {
            cases: Vec<Case>,
        }
        #[derive(serde::Deserialize)]
        struct Case {
            filter: Interpolation,
            side: u32,
            pixels: Vec<u8>,
        }
        let image = RgbImage::from_fn(53, 37, |x, y| {
            image::Rgb([0, 1, 2].map(|c| ((7 * x + 13 * y + 29 * c + x * y / 5) % 256) as u8))
        });
        let recorded: Recorded =
            serde_json::from_str(include_str!("../../tests/parity/pillow_resize.json")).unwrap();
        assert_eq!(recorded.cases.len(), 8);
        for Case { filter, side, pixels: expected } in recorded.cases {
            let square = square(side, filter);
            let mut pixels = vec![0; square.bytes()];
            resize(&image, square, &mut pixels).unwrap();
            let most = pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            // Nearest copies; the others round.
            let allowed = u8::from(filter != Interpolation::Nearest);
            assert!(most <= allowed, "{filter:?} to {side}: {most} of 255 apart");
        }
    }

    /// A PNG that claims this size and holds nothing.
    fn bomb(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        let mut header = b"IHDR".to_vec();
        header.extend(width.to_be_bytes());
        header.extend(height.to_be_bytes());
        header.extend([8, 2, 0, 0, 0]);
        bytes.extend(&header);
        bytes.extend(crc32(&header).to_be_bytes());
        bytes.extend(b"\0\0\0\0IDAT");
        bytes.extend(crc32(b"IDAT").to_be_bytes());
        bytes
    }

    /// As PNG has it: <https://www.w3.org/TR/png-3/#D-CRCAppendix>.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
            })
        })
    }

    #[test]
    fn what_is_no_image_is_said() {
        let text = |bytes: &[u8]| decoded(bytes, 8).unwrap_err().to_string();
        assert!(text(b"").contains("plate.jpg is empty"), "{}", text(b""));
        assert!(text(b"<html></html>").contains("plate.jpg cannot be decoded"));
        for (width, height) in [(50_000, 50_000), (13_378, 13_378), (u32::MAX >> 1, 1)] {
            let said = text(&bomb(width, height));
            assert!(said.contains("plate.jpg says that it has more pixels"), "{said}");
        }
        // Small enough, and no pixels in it.
        assert!(text(&bomb(16, 16)).contains("plate.jpg cannot be decoded"));
    }
}
