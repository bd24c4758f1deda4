//! Decoding while somebody else computes.

use std::sync::mpsc;
use std::thread;

use rayon::prelude::*;

use super::{DecodeError, Folder, Square, decode};

/// Batches that are decoded before anybody asks for them. More would take memory and no time.
const AHEAD: usize = 2;

/// Decodes the images of a folder to squares as [`decode_all`](super::decode_all) does, `count` at a
/// time: `each` is given the place of the first and `[images, side, side, 3]` bytes, in order, while the
/// next ones are being decoded. So folders may be larger than memory. An error of `each` ends the work.
///
/// # Errors
/// At an image that cannot be decoded, which the error names.
pub fn decode_in_batches<E: From<DecodeError>>(
    folder: &Folder,
    square: Square,
    count: usize,
    mut each: impl FnMut(usize, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let bytes = square.bytes();
    thread::scope(|scope| {
        let (sender, batches) = mpsc::sync_channel(AHEAD);
        scope.spawn(move || {
            for images in folder.images.chunks(count) {
                let mut pixels = vec![0; bytes * images.len()];
                let decoded =
                    pixels.par_chunks_mut(bytes).zip(images).try_for_each(|(pixels, image)| {
                        decode(&folder.root.join(&image.name), square, pixels)
                    });
                // Whoever has seen an error takes no more.
                if sender.send(decoded.map(|()| pixels)).is_err() {
                    return;
                }
            }
        });
        for (number, pixels) in batches.into_iter().enumerate() {
            each(number * count, &pixels?)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use spec::config::Interpolation;

    use super::super::decode_all;
    use super::*;

    const SQUARE: Square = Square { side: 4, interpolation: Interpolation::Bilinear };

    #[derive(Debug)]
    enum Halt {
        Decode(String),
        Enough,
    }

    impl From<DecodeError> for Halt {
        fn from(error: DecodeError) -> Self {
            Self::Decode(error.to_string())
        }
    }

    fn folder(images: u8) -> (tempfile::TempDir, Folder) {
        let root = tempfile::tempdir().unwrap();
        for number in 0..images {
            let grey = RgbImage::from_pixel(5, 5, image::Rgb([number; 3]));
            grey.save(root.path().join(format!("{number:02}.png"))).unwrap();
        }
        let folder = Folder::labelled_or_not(root.path(), &[]).unwrap();
        (root, folder)
    }

    #[test]
    fn batches_are_all_images_in_order() {
        let (_root, folder) = folder(11);
        let expected = decode_all(&folder, SQUARE, |_| Ok::<_, Halt>(())).unwrap();
        for count in [1, 4, 11, 20] {
            let mut all = Vec::new();
            decode_in_batches(&folder, SQUARE, count, |start, pixels| {
                assert_eq!(start * SQUARE.bytes(), all.len());
                assert!(pixels.len() <= count * SQUARE.bytes());
                all.extend_from_slice(pixels);
                Ok::<_, Halt>(())
            })
            .unwrap();
            assert_eq!(all, expected, "{count} at a time");
        }
    }

    #[test]
    fn a_broken_image_ends_the_work_where_it_stands() {
        let (root, folder) = folder(11);
        fs_err::write(root.path().join("07.png"), "no image").unwrap();
        let mut seen = Vec::new();
        let error = decode_in_batches(&folder, SQUARE, 2, |start, _| {
            seen.push(start);
            Ok::<_, Halt>(())
        });
        assert_eq!(seen, [0, 2, 4]);
        let Err(Halt::Decode(said)) = error else { panic!("{error:?}") };
        assert!(said.contains("07.png"), "{said}");
    }

    #[test]
    fn whoever_has_enough_gets_no_more() {
        let (_root, folder) = folder(11);
        let mut calls = 0;
        let ended = decode_in_batches(&folder, SQUARE, 1, |_, _| {
            calls += 1;
            if calls == 3 { Err(Halt::Enough) } else { Ok(()) }
        });
        assert!(matches!(ended, Err(Halt::Enough)));
        assert_eq!(calls, 3);
    }
}
