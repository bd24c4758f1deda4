//! Which photograph has which number.

use glam::Vec2;
use image::RgbImage;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::camera::{Camera, Film};
use crate::cutlery::Cutlery;
use crate::design;
use crate::dirt::Dirt;
use crate::light::Light;
use crate::scene::Scene;
use crate::table::Table;
use crate::{Class, Split};

/// Number of different dishes that the photographs of a split show.
const fn dishes(split: Split) -> u32 {
    match split {
        Split::Train => 22,
        Split::Test => 120,
    }
}

/// Which of the seed's independent streams of random numbers to read.
enum Stream {
    Photo(Split, u32),
    Pair(Split, u32),
    Dish(Split, u32),
}

fn stream(seed: u64, stream: Stream) -> ChaCha8Rng {
    let (kind, split, number) = match stream {
        Stream::Photo(split, number) => (0, split, number),
        Stream::Pair(split, number) => (1, split, number),
        Stream::Dish(split, number) => (2, split, number),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(number) << 8 | (split as u64) << 4 | kind);
    rng
}

/// The class of a photograph: each even number and its successor are one of each, in random order.
pub(crate) fn class(seed: u64, split: Split, number: u32) -> Class {
    let first_is_dirty = stream(seed, Stream::Pair(split, number / 2)).random_bool(0.5);
    if first_is_dirty == (number.is_multiple_of(2)) { Class::Dirty } else { Class::Cleaned }
}

/// Takes photograph `number` of a split.
pub(crate) fn take(seed: u64, split: Split, number: u32, size: (u32, u32)) -> (RgbImage, u8) {
    let mut rng = stream(seed, Stream::Photo(split, number));
    let dirty = class(seed, split, number) == Class::Dirty;
    // Some dishes of the training set are there washed and used, some only one way.
    let (shelf, dish) = match split {
        Split::Train if dirty => (split, rng.random_range(6..dishes(split))),
        Split::Train => (split, rng.random_range(0..dishes(split) - 6)),
        Split::Test if rng.random_bool(0.06) => {
            (Split::Train, rng.random_range(0..dishes(Split::Train)))
        }
        Split::Test => (split, rng.random_range(0..dishes(split))),
    };
    let design = design::sample(shelf, &mut stream(seed, Stream::Dish(shelf, dish)));

    let deep = design.form.rim > 0.25;
    let tilt = if deep { 0.22 } else { 0.4 };
    let camera = Camera::sample(tilt * rng.random_range(0.0..1.0), &mut rng);
    let light = Light::sample(camera.direction(), &mut rng);
    let table = Table::sample(split, &mut rng);
    let film = Film::sample(&mut rng);
    let center = Vec2::new(rng.random_range(-0.3..0.3), rng.random_range(-0.14..0.14));
    let radius = rng.random_range(0.56..0.92);
    let turn = Vec2::from_angle(rng.random_range(0.0..std::f32::consts::TAU));
    let dirt = if dirty {
        let amount = rng.random_range(0.0..1.0_f32);
        Some(Dirt::sample(&design.form.outline, 0.18 + 0.82 * amount, &mut rng))
    } else {
        Dirt::none(&design.form.outline, &mut rng)
    };
    let cutlery = rng.random_bool(0.15).then(|| Cutlery::beside(center, radius, &mut rng));
    let seed = dish * 131 + 7;
    let scene = Scene { light, table, design, dirt, cutlery, center, radius, turn, seed };
    let image = film.expose(size, &mut rng, |at| scene.radiance(camera.ray(at)));
    (image, film.quality)
}
