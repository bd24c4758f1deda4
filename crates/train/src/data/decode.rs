//! From a file to pixels.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use libjpeg_turbo_rs::JpegError;
use rayon::prelude::*;

use super::resize::{Square, resize};
use super::{Folder, jpeg};

/// Images with more pixels than this are taken for bombs, as by Pillow:
/// <https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.open>
pub(super) const MOST_PIXELS: u64 = 178_956_970;
/// Bytes that a file may have, and that a decoder may allocate: the pixels at 16 bits with transparency,
/// and room to work.
pub(super) const MOST_BYTES: u64 = 2 << 30;

/// Images decoded between two reports of progress.
const REPORT: usize = 64;

/// An image that cannot be turned into pixels.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DecodeError {
    #[error("an image cannot be read")]
    Read(#[from] std::io::Error),
    #[error("{path} is no file, but a folder, a pipe or a device")]
    NoFile { path: PathBuf },
    #[error("{path} is empty: it holds not a single byte")]
    Empty { path: PathBuf },
    #[error("{path} is larger than the {MOST_BYTES} bytes that an image file may have")]
    TooLong { path: PathBuf },
    #[error(
        "{path} says that it has more pixels than the {MOST_PIXELS} that an image may have: scale it \
         down"
    )]
    TooLarge { path: PathBuf },
    #[error("{path} cannot be decoded")]
    Decode { path: PathBuf, source: image::ImageError },
    #[error("{path} cannot be decoded")]
    Jpeg { path: PathBuf, source: JpegError },
    #[error("{path} is cut short: its JPEG data ends before the end marker")]
    Truncated { path: PathBuf },
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
        pixels
            .par_chunks_mut(bytes)
            .zip(images)
            .try_for_each_init(Memory::default, |memory, (pixels, image)| {
                memory.decode(&folder.root.join(&image.name), square, pixels)
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
    Memory::default().decode(path, square, pixels)
}

/// What the decoding of one image leaves to that of the next.
#[derive(Default)]
struct Memory {
    file: Vec<u8>,
    image: Vec<u8>,
    between: Vec<u8>,
}

impl Memory {
    fn decode(
        &mut self,
        path: &Path,
        square: Square,
        pixels: &mut [u8],
    ) -> Result<(), DecodeError> {
        // Looked at before it is opened: whoever opens a pipe waits for its writer.
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(DecodeError::NoFile { path: path.to_owned() });
        }
        if metadata.len() > MOST_BYTES {
            return Err(DecodeError::TooLong { path: path.to_owned() });
        }
        self.file.clear();
        fs::File::open(path)?.read_to_end(&mut self.file)?;
        if self.file.is_empty() {
            return Err(DecodeError::Empty { path: path.to_owned() });
        }
        let memory = std::mem::take(&mut self.image);
        let image = read(&self.file, memory).map_err(|refusal| refusal.of(path))?;
        resize(&image, square, &mut self.between, pixels);
        self.image = image.into_raw();
        Ok(())
    }
}

/// Why bytes are no image, before it is known whose they are.
pub(super) enum Refusal {
    Truncated,
    TooLarge,
    Jpeg(JpegError),
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

impl From<JpegError> for Refusal {
    fn from(error: JpegError) -> Self {
        Self::Jpeg(error)
    }
}

impl Refusal {
    fn of(self, path: &Path) -> DecodeError {
        let path = path.to_owned();
        match self {
            Self::Truncated => DecodeError::Truncated { path },
            Self::TooLarge => DecodeError::TooLarge { path },
            Self::Jpeg(source) => DecodeError::Jpeg { path, source },
            Self::Image(source) => DecodeError::Decode { path, source },
        }
    }
}

/// `memory` is for the pixels, where the format's decoder can use it.
fn read(bytes: &[u8], memory: Vec<u8>) -> Result<RgbImage, Refusal> {
    if image::guess_format(bytes)? == ImageFormat::Jpeg {
        return jpeg::read(bytes, memory);
    }
    read_any(bytes)
}

/// Of every format, with the decoders of `image`.
pub(super) fn read_any(bytes: &[u8]) -> Result<RgbImage, Refusal> {
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

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{ExtendedColorType, ImageEncoder};
    use spec::config::Interpolation;

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
        fs_err::write(&path, bytes).unwrap();
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

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_or_cannot_be_read_is_named() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("folder.jpg")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("pipe.jpg")).status().unwrap();
        assert!(made.success());
        // A hole: nothing is written.
        fs::File::create(at("long.jpg")).unwrap().set_len(MOST_BYTES + 1).unwrap();
        fs::write(at("locked.jpg"), jpeg(&halves(8, 8), None)).unwrap();
        fs::set_permissions(at("locked.jpg"), PermissionsExt::from_mode(0o000)).unwrap();
        let text = |name: &str| {
            let square = square(8, Interpolation::Bilinear);
            let error = decode(&at(name), square, &mut vec![0; square.bytes()]).unwrap_err();
            crate::link::chain(&error)
        };
        for (name, message) in [
            ("folder.jpg", "folder.jpg is no file"),
            ("pipe.jpg", "pipe.jpg is no file"),
            ("long.jpg", "long.jpg is larger than the 2147483648 bytes"),
            ("gone.jpg", "gone.jpg"),
        ] {
            assert!(text(name).contains(message), "{}", text(name));
        }
        // Root may read everything.
        if fs::read(at("locked.jpg")).is_err() {
            assert!(text("locked.jpg").contains("locked.jpg"), "{}", text("locked.jpg"));
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
