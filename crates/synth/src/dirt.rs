//! What a meal leaves behind, and the water that washing leaves behind.

use std::f32::consts::TAU;

use glam::{Vec2, Vec3};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::canvas::{Canvas, Ink, Texture, blob, circle, curve, petal};
use crate::dish::Outline;
use crate::noise::{fractal, smoothstep, value};

const SIZE: u32 = 384;

/// Everything on a dish that is not part of it, over the square around the dish.
pub(crate) struct Dirt {
    /// Flat and see-through: smears, films, dried rings.
    pub(crate) stain: Texture,
    /// Standing proud of the dish: crumbs, sauce, leftovers. Opacity is height, too.
    pub(crate) food: Texture,
    /// Slope of food and water (x, y: height per length of the dish), and how much water (z).
    pub(crate) relief: Texture,
}

/// One dish's sauce, crumbs and greens.
struct Meal {
    sauces: [u32; 2],
    crumbs: [u32; 3],
}

const MEALS: [Meal; 7] = [
    Meal { sauces: [0x8e2410, 0xa83818], crumbs: [0x6e2410, 0xb0501c, 0x8a3a1a] },
    Meal { sauces: [0xa02a10, 0xb8441a], crumbs: [0x7a2c12, 0xc06a2c, 0x4a1c0e] },
    Meal { sauces: [0x6b3d1c, 0x8a5527], crumbs: [0x5a3216, 0xa06a30, 0x2e1a0e] },
    Meal { sauces: [0xb57a22, 0xc9983a], crumbs: [0x9a5f1a, 0xd9b060, 0x6a4418] },
    Meal { sauces: [0x4a2412, 0x6a3a20], crumbs: [0x2c150b, 0x53301a, 0x7c5230] },
    Meal { sauces: [0xa83c20, 0xc97a3a], crumbs: [0xd8c49a, 0x8a3a1a, 0x5a7030] },
    Meal { sauces: [0x94582c, 0xd2b98a], crumbs: [0xe2d5b0, 0xa87a40, 0x6f4a26] },
];

/// Where on a dish dirt of one photograph gathers.
struct Hand<'a> {
    outline: &'a Outline,
    meal: &'a Meal,
    /// Centre of what was eaten, and how far it spread.
    focus: Vec2,
    spread: f32,
    rng: &'a mut ChaCha8Rng,
}

impl Hand<'_> {
    fn between(&mut self, low: f32, high: f32) -> f32 {
        self.rng.random_range(low..high)
    }

    fn direction(&mut self) -> Vec2 {
        Vec2::from_angle(self.between(0.0, TAU))
    }

    /// A place on the dish, more likely near the focus.
    fn place(&mut self) -> Vec2 {
        for _ in 0..12 {
            let far = self.between(0.0, 1.0) * self.spread;
            let place = self.focus + self.direction() * far;
            if self.outline.rho(place) < 0.95 {
                return place;
            }
        }
        Vec2::ZERO
    }

    fn sauce(&mut self) -> u32 {
        *self.meal.sauces.choose(self.rng).unwrap_or(&self.meal.sauces[0])
    }

    fn crumb(&mut self) -> u32 {
        *self.meal.crumbs.choose(self.rng).unwrap_or(&self.meal.crumbs[0])
    }
}

impl Dirt {
    /// A washed dish: nothing, or a few drops of water.
    pub(crate) fn none(outline: &Outline, rng: &mut ChaCha8Rng) -> Option<Dirt> {
        if rng.random_bool(0.7) {
            return None;
        }
        let mut water = Canvas::new(SIZE);
        drops(&mut water, outline, rng);
        let empty = || Canvas::new(SIZE).into_texture();
        Some(Dirt::layered(empty(), empty(), &water.into_texture()))
    }

    /// A used dish; `amount` 0 is a few specks, 1 the leftovers of a messy meal.
    pub(crate) fn sample(outline: &Outline, amount: f32, rng: &mut ChaCha8Rng) -> Dirt {
        let mut stain = Canvas::new(SIZE);
        let mut food = Canvas::new(SIZE);
        let mut water = Canvas::new(SIZE);
        let meal = MEALS.choose(rng).unwrap_or(&MEALS[0]);
        let focus = Vec2::from_angle(rng.random_range(0.0..TAU)) * rng.random_range(0.0..0.45);
        let spread = rng.random_range(0.45..1.0);
        let mut hand = Hand { outline, meal, focus, spread, rng };

        let count = |most: f32, hand: &mut Hand| {
            (most * amount * hand.between(0.5, 1.2) + hand.between(0.0, 0.9)) as u32
        };
        if hand.rng.random_bool(0.3 + 0.5 * f64::from(amount)) {
            film(&mut stain, amount, &mut hand);
        }
        for _ in 0..count(17.0, &mut hand) {
            smear(&mut stain, amount, &mut hand);
        }
        for _ in 0..count(5.0, &mut hand) {
            ring_stain(&mut stain, &mut hand);
        }
        if hand.rng.random_bool(0.45 * f64::from(amount)) {
            for _ in 0..hand.rng.random_range(1..4) {
                pool(&mut stain, &mut food, &mut hand);
            }
        }
        let crumbs = 3 + count(45.0, &mut hand);
        for _ in 0..crumbs {
            crumb(&mut food, &mut hand);
        }
        splatter(&mut food, 2 + count(28.0, &mut hand), &mut hand);
        if hand.rng.random_bool(0.05 + 0.3 * f64::from(amount)) {
            leftovers(&mut food, amount, &mut hand);
        }
        if hand.rng.random_bool(0.15) {
            drops(&mut water, outline, hand.rng);
        }
        let seed = hand.rng.random();
        let mut stain = stain.into_texture();
        let mut food = food.into_texture();
        wear(&mut stain, 0.8, seed);
        wear(&mut food, 0.3, seed ^ 0x77);
        Dirt::layered(stain, food, &water.into_texture())
    }

    fn layered(stain: Texture, food: Texture, water: &Texture) -> Dirt {
        let height = |x: usize, y: usize| 0.009 * food.texel(x, y).w + 0.007 * water.texel(x, y).w;
        let texel = 2.0 / SIZE as f32;
        let relief = Texture::from_fn(food.size(), |x, y| {
            let last = food.size() - 1;
            let (left, right) = (height(x.saturating_sub(1), y), height((x + 1).min(last), y));
            let (above, below) = (height(x, y.saturating_sub(1)), height(x, (y + 1).min(last)));
            let slope = Vec2::new(right - left, below - above) / (2.0 * texel);
            slope.extend(water.texel(x, y).w).extend(0.0)
        });
        Dirt { stain, food, relief }
    }
}

/// Breaks up the even colour of what was drawn, as drying does.
fn wear(texture: &mut Texture, strength: f32, seed: u32) {
    let size = texture.size();
    for y in 0..size {
        for x in 0..size {
            let texel = texture.texel_mut(x, y);
            if texel.w == 0.0 {
                continue;
            }
            let p = Vec2::new(x as f32, y as f32) / size as f32;
            let patch = smoothstep(0.28, 0.62, fractal(p * 16.0, 3, seed));
            let speckle = value(p * 150.0, seed ^ 0x5a);
            let keep = 1.0 - strength * (1.0 - patch * (0.55 + 0.45 * speckle));
            *texel *= keep;
            let shade = 0.7 + 0.6 * value(p * 60.0, seed ^ 0xa5);
            *texel = (texel.truncate() * shade)
                .min(texel.truncate().max(Vec3::splat(texel.w)))
                .extend(texel.w);
        }
    }
}

/// A wiping stroke: a bundle of hair lines along an arc, each with its own strength and ends.
fn smear(stain: &mut Canvas, amount: f32, hand: &mut Hand) {
    let color = hand.sauce();
    // Plates are wiped around their own centre, or with short straight strokes of a spoon.
    let around = hand.rng.random_bool(0.65);
    let place = hand.place();
    let (center, radius) = if around {
        let off = hand.direction() * hand.between(0.0, 0.15);
        (off, (place - off).length().max(0.12))
    } else {
        let radius = hand.between(0.3, 1.6);
        (place - hand.direction() * radius, radius)
    };
    let start = (place - center).to_angle();
    let sweep =
        hand.between(0.15, 0.9) / radius * if hand.rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let width = hand.between(0.03, 0.15) * (0.6 + 0.6 * amount);
    let spiral = hand.between(-0.12, 0.12);
    let strength = hand.between(0.3, 1.0) * (0.6 + 0.6 * amount);
    for _ in 0..hand.rng.random_range(14..46) {
        let side = hand.between(-1.0, 1.0) * hand.between(0.3, 1.0);
        let (from, to) = (hand.between(0.0, 0.45), hand.between(0.5, 1.0));
        let wobble = hand.between(-0.012, 0.012);
        let points: Vec<Vec2> = (0..9)
            .map(|i| {
                let t = from + (to - from) * i as f32 / 8.0;
                let wave = ((i as f32 * 1.3 + side).rem_euclid(4.0) - 2.0).abs() - 1.0;
                let r = radius + side * width * (1.0 - 0.5 * t) + spiral * t + wobble * wave;
                center + Vec2::from_angle(start + sweep * t) * r
            })
            .filter(|p| hand.outline.rho(*p) < 0.97)
            .collect();
        let ink = Ink(color, strength * hand.between(0.15, 1.0));
        stain.stroke(curve(&points), hand.between(0.004, 0.02), ink);
    }
}

/// A wide greasy film.
fn film(stain: &mut Canvas, amount: f32, hand: &mut Hand) {
    let color = hand.sauce();
    for _ in 0..hand.rng.random_range(2..6) {
        let (place, size) = (hand.place() * 0.8, hand.between(0.12, 0.42));
        let ink = Ink(color, hand.between(0.03, 0.12) * (0.5 + amount));
        stain.fill(blob(place, size, 0.35, hand.rng), ink);
    }
}

/// The dark edge that a dried drop leaves.
fn ring_stain(stain: &mut Canvas, hand: &mut Hand) {
    let (place, size) = (hand.place(), hand.between(0.02, 0.07));
    let color = hand.sauce();
    let strength = hand.between(0.2, 0.6);
    let outline = blob(place, size, 0.12, hand.rng);
    stain.fill(outline.clone(), Ink(color, 0.3 * strength));
    stain.stroke(outline, 0.008, Ink(color, strength));
}

/// Sauce that still stands, with a thinner margin.
fn pool(stain: &mut Canvas, food: &mut Canvas, hand: &mut Hand) {
    let (place, size) = (hand.place() * 0.75, hand.between(0.05, 0.2));
    let color = hand.sauce();
    stain.fill(blob(place, size * 1.25, 0.25, hand.rng), Ink(color, 0.5));
    for _ in 0..hand.rng.random_range(2..6) {
        let off = hand.direction() * size * hand.between(0.0, 0.7);
        let part = size * hand.between(0.3, 0.8);
        let ink = Ink(color, hand.between(0.55, 0.95));
        food.fill(blob(place + off, part, 0.3, hand.rng), ink);
    }
}

fn crumb(food: &mut Canvas, hand: &mut Hand) {
    let place = hand.place();
    let size = hand.between(0.006, 0.014) + 0.02 * hand.between(0.0, 1.0) * hand.between(0.0, 1.0);
    let ink = Ink(hand.crumb(), hand.between(0.7, 1.0));
    food.fill(blob(place, size, 0.4, hand.rng), ink);
}

/// Small drops thrown along one direction.
fn splatter(food: &mut Canvas, count: u32, hand: &mut Hand) {
    let color = hand.sauce();
    let from = hand.place();
    let throw = hand.direction() * hand.between(0.1, 0.6);
    for _ in 0..count {
        let off = throw * hand.between(0.0, 1.5) + hand.direction() * hand.between(0.0, 0.4);
        if hand.outline.rho(from + off) < 0.97 {
            let size = 0.004 + 0.016 * hand.between(0.0, 1.0) * hand.between(0.0, 1.0);
            let ink = Ink(color, hand.between(0.4, 0.9));
            food.fill(blob(from + off, size, 0.3, hand.rng), ink);
        }
    }
}

/// Noodles, rice or greens.
fn leftovers(food: &mut Canvas, amount: f32, hand: &mut Hand) {
    let many = 1.0 + 14.0 * amount;
    match hand.rng.random_range(0..3) {
        0 => {
            let width = hand.between(0.018, 0.034);
            for _ in 0..(many * hand.between(0.2, 1.0)) as u32 + 1 {
                let mut at = hand.place() * 0.7;
                let mut heading = hand.direction();
                let mut points = vec![at];
                let bend = hand.between(-0.6, 0.6);
                for _ in 0..hand.rng.random_range(4..12) {
                    heading = heading.rotate(Vec2::from_angle(bend + hand.between(-0.5, 0.5)));
                    at += heading * 0.06;
                    if hand.outline.rho(at) < 0.9 {
                        points.push(at);
                    }
                }
                food.stroke(curve(&points), width * 1.25, Ink(0x9a7030, 0.6));
                food.stroke(curve(&points), width, Ink(0xdcb868, 0.95));
            }
        }
        1 => {
            for _ in 0..(many * 3.0) as u32 {
                let (at, along) = (hand.place() * 0.85, hand.direction() * 0.022);
                food.stroke(curve(&[at, at + along * 0.5, at + along]), 0.017, Ink(0xe6dcc0, 0.95));
            }
        }
        _ => {
            for _ in 0..(many * 0.8) as u32 + 1 {
                let (root, along) =
                    (hand.place() * 0.9, hand.direction() * hand.between(0.04, 0.13));
                let ink = Ink(*[0x4f6a2a, 0x6d7f35, 0x39501f].choose(hand.rng).unwrap_or(&0), 0.95);
                food.fill(petal(root, root + along, hand.between(0.15, 0.4)), ink);
            }
        }
    }
}

/// Drops of water that were not wiped off.
fn drops(water: &mut Canvas, outline: &Outline, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(3..26) {
        let place = Vec2::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
        let size = 0.008 + 0.025 * rng.random_range(0.0..1.0_f32) * rng.random_range(0.0..1.0_f32);
        if outline.rho(place) < 0.95 {
            for (part, height) in [(1.0, 0.5), (0.75, 0.5), (0.45, 0.6)] {
                water.fill(circle(place, size * part), Ink(0xffffff, height));
            }
        }
    }
}
