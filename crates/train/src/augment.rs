//! Random changes of the training images.
//!
//! A *view* is one such change of one image. What is drawn for it hangs on the image's position in its
//! folder, the view's number and a key: the run's seed for fresh views, nothing for fixed ones, so that
//! all runs share what is computed of those. No view is the image as it is. Images to validate or test
//! on have no views, nor has an image's class or its share in a split to do with them.

mod draw;
mod transform;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use spec::config;
use tch::{TchError, Tensor};

pub use transform::{Fill, Transform};

use crate::features::Encoder;
use crate::native::send;
use crate::random::{Purpose, stream};

/// One view of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The image's position in its folder.
    pub image: i64,
    /// Which of its views, from 0.
    pub number: u64,
}

/// The views of the images of a folder.
#[derive(Debug, Clone)]
pub struct Views {
    augment: config::Augment,
    key: [u8; 32],
}

impl Views {
    /// Those that are the same in every run.
    pub fn fixed(augment: &config::Augment) -> Self {
        Self::new(augment, blake3::derive_key("sweep fixed views of training images", &[]))
    }

    /// Those of runs with this seed.
    pub fn fresh(augment: &config::Augment, seed: u64) -> Self {
        Self::new(augment, stream(seed, Purpose::Augment).random())
    }

    fn new(augment: &config::Augment, key: [u8; 32]) -> Self {
        // How many there are does not change them.
        let augment = config::Augment { views: config::Views::Fresh, ..augment.clone() };
        Self { augment, key }
    }

    /// What changes the images; how many views there are is left out.
    pub fn augment(&self) -> &config::Augment {
        &self.augment
    }

    /// Each of `views` of the images `pixels`, `[images, side, side, 3]` bytes in main memory, as
    /// `[views, side, side, 3]` in 32-bit floats from 0 to 255.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn of(&self, pixels: &Tensor, views: &[View]) -> Result<Tensor, TchError> {
        let side = pixels.size()[1] as usize;
        let length = 3 * side * side;
        let images: Vec<i64> = views.iter().map(|view| view.image).collect();
        let chosen = pixels.f_index_select(0, &Tensor::f_from_slice(&images)?)?;
        let mut images = vec![0; length * views.len()];
        chosen.f_copy_data_u8(&mut images, length * views.len())?;
        let mut changed = vec![0f32; images.len()];
        let fill = Fill { mode: self.augment.fill_mode, value: self.augment.cval };
        changed.par_chunks_mut(length).zip(images.par_chunks(length)).zip(views).for_each(
            |((changed, image), &view)| {
                self.transform(view, side as u32).apply(image, (side, side), fill, changed);
            },
        );
        let side = side as i64;
        Tensor::f_from_slice(&changed)?.f_reshape([views.len() as i64, side, side, 3])
    }

    /// What becomes of an image with sides of `side` pixels in a view.
    fn transform(&self, view: View, side: u32) -> Transform {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&view.image.to_le_bytes());
        hasher.update(&view.number.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(*hasher.finalize().as_bytes());
        draw::draw(&self.augment, side, &mut rng)
    }
}

/// What training reads in place of the images as they are.
#[derive(Debug)]
pub enum Augmented<'a> {
    /// What the frozen prefix makes of fixed views, computed before.
    Kept {
        /// Of view 0 of every image of the folder, then of view 1, and so on.
        inputs: Tensor,
        /// How many views each image has.
        count: u32,
    },
    /// Views made for every batch.
    Drawn(Box<Drawn<'a>>),
}

/// Views that are made when they are read.
#[derive(Debug)]
pub struct Drawn<'a> {
    /// The images, `[images, side, side, 3]` bytes in main memory.
    pub pixels: Tensor,
    /// Their views.
    pub views: Views,
    /// How many of them; absent: a new one in every pass.
    pub count: Option<u32>,
    /// The frozen prefix; absent when nothing is frozen.
    pub encoder: Option<Encoder<'a>>,
}

impl Augmented<'_> {
    /// How many views of each image a pass shows.
    pub fn in_a_pass(&self) -> usize {
        match self {
            Self::Kept { count, .. } => *count as usize,
            Self::Drawn(drawn) => drawn.count.unwrap_or(1) as usize,
        }
    }

    /// The number of the view that comes as number `shown` of an image's in a pass, counted from 0.
    pub fn number(&self, shown: usize, pass: u64) -> u64 {
        match self {
            Self::Drawn(drawn) if drawn.count.is_none() => pass,
            Self::Kept { .. } | Self::Drawn(_) => shown as u64,
        }
    }

    /// What the model reads of `views`.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn inputs(&self, views: &[View]) -> Result<Tensor, TchError> {
        match self {
            Self::Kept { inputs, count } => {
                let images = inputs.size()[0] / i64::from(*count);
                let rows: Vec<i64> =
                    views.iter().map(|view| view.number as i64 * images + view.image).collect();
                inputs.f_index_select(0, &send(&Tensor::f_from_slice(&rows)?, inputs.device())?)
            }
            Self::Drawn(drawn) => {
                let changed = drawn.views.of(&drawn.pixels, views)?;
                match &drawn.encoder {
                    Some(encoder) => encoder.encode(&changed),
                    None => Ok(changed),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn augment(settings: &str) -> config::Augment {
        serde_json::from_str(settings).unwrap()
    }

    fn view(image: i64, number: u64) -> View {
        View { image, number }
    }

    #[test]
    fn a_view_hangs_on_key_image_and_number_alone() {
        let settings = r#"{ "rotation_range": 30, "zoom_range": 0.2 }"#;
        // Every image the same: what differs is what is drawn.
        let bytes: Vec<u8> = (0..8 * 8 * 3).map(|at| (at * 7 % 256) as u8).collect();
        let pixels = Tensor::from_slice(&bytes.repeat(4)).reshape([4, 8, 8, 3]);
        let views = Views::fixed(&augment(settings));
        let one = |views: &Views, view| views.of(&pixels, &[view]).unwrap().get(0);
        let together = views.of(&pixels, &[view(3, 5), view(1, 5)]).unwrap();
        assert_eq!(together.size(), [2, 8, 8, 3]);
        assert_eq!(together.get(1), one(&views, view(1, 5)));
        assert_eq!(together.get(0), one(&Views::fixed(&augment(settings)), view(3, 5)));
        assert_ne!(together.get(0), together.get(1));
        assert_ne!(together.get(1), one(&views, view(1, 6)));
        let fresh = |seed| one(&Views::fresh(&augment(settings), seed), view(1, 5));
        assert_eq!(fresh(1), fresh(1));
        assert_ne!(fresh(1), fresh(2));
        assert_ne!(fresh(1), together.get(1));
    }

    /// Keras's own names mean the other direction.
    #[test]
    fn widths_shift_left_and_right_and_heights_up_and_down() {
        let dot = Tensor::zeros([1, 9, 9, 3], (tch::Kind::Uint8, tch::Device::Cpu));
        let _ = dot.get(0).get(4).get(4).fill_(255);
        for (settings, along) in [
            (r#"{ "width_shift_range": 3.0, "fill_mode": "constant" }"#, 1),
            (r#"{ "height_shift_range": 3.0, "fill_mode": "constant" }"#, 0),
        ] {
            let views = Views::fixed(&augment(settings));
            let all: Vec<View> = (0..20).map(|number| view(0, number)).collect();
            let shifted = views.of(&dot, &all).unwrap();
            // `[views, 9]`: where along the other axis anything is.
            let across =
                shifted.amax([3i64], false).sum_dim_intlist([1 + along].as_slice(), false, None);
            for view in 0..20 {
                let across = Vec::<f32>::try_from(across.get(view)).unwrap();
                let off: f32 = across
                    .iter()
                    .enumerate()
                    .map(|(at, sum)| if at == 4 { 0.0 } else { *sum })
                    .sum();
                assert_eq!(off, 0.0, "{settings} {across:?}");
            }
            assert!(shifted.get(0) != shifted.get(1), "{settings}");
        }
    }

    #[test]
    fn kept_views_are_found_again() {
        let inputs = Tensor::from_slice(&[0f32, 1., 2., 10., 11., 12.]).reshape([6, 1]);
        let kept = Augmented::Kept { inputs, count: 2 };
        assert_eq!((kept.in_a_pass(), kept.number(1, 7)), (2, 1));
        let read = kept.inputs(&[view(2, 1), view(0, 0), view(1, 1)]).unwrap();
        assert_eq!(Vec::<f32>::try_from(read.reshape([-1])).unwrap(), [12., 0., 11.]);
    }
}
