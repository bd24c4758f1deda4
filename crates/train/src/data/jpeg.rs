//! JPEGs, decoded to the pixels that libjpeg-turbo makes of them: Pillow's, OpenCV's, PyTorch's.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat};

use super::decode::{MOST_BYTES, MOST_PIXELS, Refusal, read_any};

/// Scans that an image may be spread over. Encoders make about ten; each costs a walk over the whole
/// image, so a small file of thousands would take hours.
const MOST_SCANS: usize = 500;

/// Decodes a JPEG to RGB, upright. `memory` becomes the pixels' and comes back as the image's.
pub(super) fn read(bytes: &[u8], memory: Vec<u8>) -> Result<RgbImage, Refusal> {
    if !has_end(bytes) {
        return Err(Refusal::Truncated);
    }
    survived(|| decode(bytes, memory))
}

/// Damaged headers have made decoders panic. The worker outlives that and names the file.
fn survived<T>(decode: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        let what = "the decoder cannot follow its header".to_owned();
        Err(Refusal::Jpeg(JpegError::CorruptData(what)))
    })
}

fn decode(bytes: &[u8], mut memory: Vec<u8>) -> Result<RgbImage, Refusal> {
    let limits = DecodeLimits {
        max_pixels: MOST_PIXELS,
        max_scans: MOST_SCANS,
        max_memory: Some(MOST_BYTES),
        ..DecodeLimits::default()
    };
    let mut decoder = Decoder::new_with_limits(bytes, limits)?;
    let frame = decoder.header();
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(Refusal::TooLarge);
    }
    if frame.precision != 8 {
        let what = format!("{} bits a sample, where 8 are usual: save it anew", frame.precision);
        return Err(Refusal::Jpeg(JpegError::Unsupported(what)));
    }
    let inks = frame.components.len() == 4;
    let sampling = |at: usize| {
        let component = &frame.components[at];
        (component.horizontal_sampling, component.vertical_sampling)
    };
    if inks && (1..4).any(|at| sampling(at) != sampling(0)) {
        // This decoder cannot enlarge inks.
        return read_any(bytes);
    }
    decoder.set_output_format(if inks { PixelFormat::Cmyk } else { PixelFormat::Rgb });
    // As libjpeg does it where a progressive image lacks its last scans.
    decoder.set_block_smoothing(true);
    memory.resize(decoder.output_buffer_size()?, 0);
    decoder.decode_image_into(&mut memory)?;
    if inks {
        to_rgb(&mut memory);
    }
    let image = RgbImage::from_raw(width, height, memory)
        .ok_or_else(|| JpegError::CorruptData("it has fewer pixels than it says".to_owned()))?;
    match decoder.exif_orientation().and_then(Orientation::from_exif) {
        None | Some(Orientation::NoTransforms) => Ok(image),
        Some(orientation) => {
            let mut image = DynamicImage::ImageRgb8(image);
            image.apply_orientation(orientation);
            Ok(image.into_rgb8())
        }
    }
}

/// Makes red, green and blue of cyan, magenta, yellow and black, stored inverted as Adobe does it, with
/// Pillow's rounding.
fn to_rgb(pixels: &mut Vec<u8>) {
    let count = pixels.len() / 4;
    for at in 0..count {
        let light = u32::from(pixels[4 * at + 3]);
        for channel in 0..3 {
            let ink = 255 - u32::from(pixels[4 * at + channel]);
            let product = ink * light + 128;
            let absorbed = ((product >> 8) + product) >> 8;
            pixels[3 * at + channel] = (light - absorbed.min(light)) as u8;
        }
    }
    pixels.truncate(3 * count);
}

/// Whether a JPEG's markers lead to its end marker. Decoders fill what a truncated file lacks with
/// grey, which would then be trained on. Layout: <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, B.1.1.
fn has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const END: u8 = 0xd9;
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        // Entropy-coded data holds no marker but restarts; a literal 0xff is followed by 0.
        let marker = memchr::memchr_iter(0xff, rest)
            .find(|at| !matches!(rest.get(at + 1), None | Some(0 | 0xd0..=0xd7 | 0xff)));
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
    use proptest::prelude::*;

    use super::*;

    const BASELINE: &[u8] = include_bytes!("../../tests/formats/colourful.jpg");
    const CMYK: &[u8] = include_bytes!("../../tests/formats/cmyk.jpg");
    const PROGRESSIVE: &[u8] = include_bytes!("../../tests/formats/progressive.jpg");
    const ALL: [&[u8]; 7] = [
        BASELINE,
        CMYK,
        PROGRESSIVE,
        include_bytes!("../../tests/formats/arithmetic_progressive.jpg"),
        include_bytes!("../../tests/formats/restarts.jpg"),
        include_bytes!("../../tests/formats/turned_5.jpg"),
        include_bytes!("../../tests/formats/ycck_subsampled.jpg"),
    ];

    /// Markers: frames, tables and the start of a scan.
    const BASELINE_FRAME: u8 = 0xc0;
    const PROGRESSIVE_FRAME: u8 = 0xc2;
    const HIERARCHICAL_FRAME: u8 = 0xc5;
    const HUFFMAN_TABLE: u8 = 0xc4;
    const QUANTISATION_TABLE: u8 = 0xdb;
    const SCAN: u8 = 0xda;
    /// Data of an application: passed over.
    const UNKNOWN: u8 = 0xec;

    fn said(refusal: Refusal) -> String {
        match refusal {
            Refusal::Jpeg(error) => error.to_string(),
            Refusal::TooLarge => "too large".to_owned(),
            Refusal::Truncated => "truncated".to_owned(),
            Refusal::Image(error) => error.to_string(),
        }
    }

    fn refused(bytes: &[u8]) -> String {
        said(read(bytes, Vec::new()).err().unwrap())
    }

    /// Where the first marker of this kind lies.
    fn marker(bytes: &[u8], kind: u8) -> usize {
        bytes.windows(2).position(|pair| pair == [0xff, kind]).unwrap()
    }

    /// With other bytes `at` bytes behind the first marker of this kind.
    fn with(bytes: &[u8], kind: u8, at: usize, others: &[u8]) -> Vec<u8> {
        let start = marker(bytes, kind) + at;
        [&bytes[..start], others, &bytes[start + others.len()..]].concat()
    }

    /// All of this Pillow refuses too, but for the codes that mean nothing, which it draws as grey.
    #[test]
    fn what_is_damaged_or_unheard_of_is_refused_by_name() {
        let without = |kind| {
            let mut bytes = PROGRESSIVE.to_vec();
            while let Some(at) = bytes.windows(2).position(|pair| pair == [0xff, kind]) {
                bytes[at + 1] = UNKNOWN;
            }
            bytes
        };
        for (bytes, message) in [
            (with(BASELINE, BASELINE_FRAME, 4, &[12]), "12 bits a sample"),
            (with(BASELINE, BASELINE_FRAME, 5, &[0xff; 4]), "too large"),
            (with(BASELINE, BASELINE_FRAME, 5, &[0xff, 0xdc, 0xff, 0xdc]), "too large"),
            (with(PROGRESSIVE, PROGRESSIVE_FRAME, 5, &[0xff, 0xdc, 0xff, 0xdc]), "too large"),
            (with(CMYK, BASELINE_FRAME, 5, &[0xff, 0xdc, 0xff, 0xdc]), "too large"),
            (with(BASELINE, BASELINE_FRAME, 5, &[0, 0]), "zero"),
            (with(BASELINE, BASELINE_FRAME, 1, &[HIERARCHICAL_FRAME]), "SOF type 0xC5"),
            (with(BASELINE, SCAN, 14, &[0xff, 0].repeat(20)), "invalid Huffman code"),
            (without(QUANTISATION_TABLE), "missing quant table"),
            (without(HUFFMAN_TABLE), "Huffman table"),
            // Rows that are announced and never come.
            (with(BASELINE, BASELINE_FRAME, 5, &[0x20, 0, 0x20, 0]), "unexpected end of data"),
            (BASELINE[..BASELINE.len() - 2].to_vec(), "truncated"),
        ] {
            let refusal = refused(&bytes);
            assert!(refusal.contains(message), "{refusal}, not {message}");
        }
    }

    #[test]
    fn scans_without_end_are_refused() {
        let start = marker(PROGRESSIVE, SCAN);
        let (scan, end) =
            (&PROGRESSIVE[start..PROGRESSIVE.len() - 2], &PROGRESSIVE[PROGRESSIVE.len() - 2..]);
        let bytes = [&PROGRESSIVE[..start], &scan.repeat(MOST_SCANS), end].concat();
        assert!(refused(&bytes).contains("exceeds limit 500"), "{}", refused(&bytes));
    }

    #[test]
    fn a_decoder_s_panic_is_a_refusal() {
        let refusal = survived::<()>(|| panic!("by the test")).unwrap_err();
        assert!(said(refusal).contains("cannot follow its header"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn damage_makes_a_refusal_or_an_image(
            which in 0..ALL.len(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = ALL[which].to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            match read(&bytes, Vec::new()) {
                Ok(image) => prop_assert!(image.width() > 0 && image.height() > 0),
                Err(refusal) => prop_assert!(!said(refusal).is_empty()),
            }
        }
    }
}
