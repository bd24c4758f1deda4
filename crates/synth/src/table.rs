//! What the plates stand on. Training and test photographs never share a table.

use glam::{Vec2, Vec3};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::Split;
use crate::canvas::Texture;
use crate::cloth;
use crate::color::srgb;
use crate::noise::{crease, fractal, grain, smoothstep, unit, value};

/// The kinds of table. Each belongs to one split ([`Kind::of`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    DarkWood,
    Stone,
    DoodleCloth,
    FlowerCloth,
    RedPaper,
    BrownTray,
    GreyPlanks,
    PalePlanks,
    Concrete,
    CheckedCloth,
    Marble,
}

impl Kind {
    /// The tables of a split; a kind named more often is met more often.
    pub(crate) const fn of(split: Split) -> &'static [Kind] {
        match split {
            Split::Train => &[
                Kind::DarkWood,
                Kind::DarkWood,
                Kind::Stone,
                Kind::Stone,
                Kind::DoodleCloth,
                Kind::DoodleCloth,
                Kind::FlowerCloth,
                Kind::RedPaper,
                Kind::BrownTray,
            ],
            Split::Test => &[
                Kind::GreyPlanks,
                Kind::GreyPlanks,
                Kind::GreyPlanks,
                Kind::GreyPlanks,
                Kind::GreyPlanks,
                Kind::GreyPlanks,
                Kind::PalePlanks,
                Kind::PalePlanks,
                Kind::PalePlanks,
                Kind::PalePlanks,
                Kind::Concrete,
                Kind::CheckedCloth,
                Kind::Marble,
            ],
        }
    }
}

/// A table as it lies under one camera.
pub(crate) struct Table {
    kind: Kind,
    seed: u32,
    /// Origin and direction of the material under the camera.
    offset: Vec2,
    turn: Vec2,
    scale: f32,
    /// Overall colour of this piece of the material.
    tint: Vec3,
    print: Option<Texture>,
}

impl Table {
    pub(crate) fn sample(split: Split, rng: &mut ChaCha8Rng) -> Table {
        #[expect(clippy::expect_used, reason = "the lists above are not empty")]
        let kind = *Kind::of(split).choose(rng).expect("a split has tables");
        // A household has one table of each kind: the wood's seed is fixed, the place on it is not.
        let seed = kind as u32 * 77 + 5;
        let (print, angle) = match kind {
            Kind::DoodleCloth => (Some(cloth::doodles(rng)), rng.random_range(-3.1..3.1)),
            Kind::FlowerCloth => (Some(cloth::flowers(rng)), rng.random_range(-3.1..3.1)),
            Kind::GreyPlanks => (None, 1.57 + rng.random_range(-0.08..0.08)),
            Kind::PalePlanks => {
                let turned = if rng.random_bool(0.25) { 1.57 } else { 0.0 };
                (None, turned + rng.random_range(-0.07..0.07))
            }
            Kind::DarkWood => (None, if rng.random_bool(0.8) { 1.57 } else { 0.0 }),
            _ => (None, rng.random_range(-0.3..0.3)),
        };
        let brightness = rng.random_range(0.8..1.15);
        Table {
            kind,
            seed,
            offset: Vec2::new(rng.random_range(-20.0..20.0), rng.random_range(-20.0..20.0)),
            turn: Vec2::from_angle(angle),
            scale: rng.random_range(0.9..1.2),
            tint: Vec3::new(
                brightness * rng.random_range(0.97..1.03),
                brightness,
                brightness * rng.random_range(0.97..1.03),
            ),
            print,
        }
    }

    /// Share of the light that the table mirrors when looked at steeply, and its roughness.
    pub(crate) fn gloss(&self) -> (f32, f32) {
        match self.kind {
            Kind::DarkWood => (0.035, 0.35),
            Kind::BrownTray => (0.04, 0.3),
            Kind::Marble | Kind::Stone => (0.04, 0.2),
            Kind::GreyPlanks => (0.03, 0.3),
            Kind::RedPaper => (0.02, 0.5),
            _ => (0.0, 1.0),
        }
    }

    /// The table's own colour at a place.
    pub(crate) fn albedo(&self, place: Vec2) -> Vec3 {
        let p = self.turn.rotate(place * self.scale) + self.offset;
        let s = self.seed;
        let color = match self.kind {
            Kind::DarkWood => dark_wood(p, s),
            Kind::Stone => stone(p, s, srgb(0xc9c2bc), unit(self.offset.x.to_bits())),
            Kind::DoodleCloth => self.cloth(p, srgb(0xe9e4d8), 70.0),
            Kind::FlowerCloth => self.cloth(p, srgb(0xdcd8cc), 110.0),
            Kind::RedPaper => red_paper(p - self.offset, p, s),
            Kind::BrownTray => brown_tray(place, p, s),
            Kind::GreyPlanks => grey_planks(p, s),
            Kind::PalePlanks => pale_planks(p, s),
            Kind::Concrete => concrete(p, s),
            Kind::CheckedCloth => cloth::checks(p) * weave(p, 90.0, s) * folds(p, s),
            Kind::Marble => marble(p, s),
        };
        color * self.tint
    }

    fn cloth(&self, p: Vec2, base: Vec3, threads: f32) -> Vec3 {
        let mut color = base;
        if let Some(print) = &self.print {
            let ink = print.sample(p * 0.9);
            color = color * (1.0 - ink.w) + ink.truncate();
        }
        color * weave(p, threads, self.seed) * folds(p, self.seed)
    }
}

/// Brightness of crossing threads, `threads` of them per unit.
fn weave(p: Vec2, threads: f32, seed: u32) -> f32 {
    let q = p * threads;
    let wave = |x: f32| (x.rem_euclid(2.0) - 1.0).abs();
    let (warp, weft) = (wave(q.x), wave(q.y));
    let uneven = value(Vec2::new(q.x, q.y * 0.15), seed) + value(Vec2::new(q.x * 0.15, q.y), seed);
    0.8 + 0.1 * (warp * (1.0 - weft) + weft * (1.0 - warp)) + 0.13 * uneven
}

/// Soft shading of cloth that does not lie quite flat.
fn folds(p: Vec2, seed: u32) -> f32 {
    let height = |q: Vec2| fractal(q * 1.3, 2, seed ^ 0x51);
    1.0 + 1.6 * (height(p) - height(p + Vec2::new(0.06, 0.04)))
}

fn dark_wood(p: Vec2, seed: u32) -> Vec3 {
    let warp = 0.15 * fractal(p * Vec2::new(0.7, 2.0), 2, seed);
    let fiber = fractal(Vec2::new(p.x * 1.6, (p.y + warp) * 26.0), 3, seed + 7);
    let streak = fractal(Vec2::new(p.x * 0.5, (p.y + warp) * 6.0), 3, seed + 13);
    let pore = smoothstep(0.62, 0.78, value(Vec2::new(p.x * 9.0, p.y * 95.0), seed + 21));
    let worn = smoothstep(0.58, 0.75, fractal(p * Vec2::new(2.0, 5.0), 3, seed + 29));
    let tone = (0.62 * streak + 0.5 * fiber - 0.12).clamp(0.0, 1.0);
    let wood = srgb(0x1c1410).lerp(srgb(0x5d4636), tone * tone * 1.3);
    wood.lerp(srgb(0x8a6a4c), 0.35 * worn * fiber) * (1.0 - 0.55 * pore)
}

fn stone(p: Vec2, seed: u32, base: Vec3, warmth: f32) -> Vec3 {
    let base = base.lerp(srgb(0xa3938d), warmth) * (0.9 + 0.2 * fractal(p * 2.0, 3, seed));
    let mut color = base;
    for (scale, cover) in [(26.0, 0.5), (55.0, 0.55), (95.0, 0.4)] {
        let (distance, id) = grain(p * scale, seed + scale as u32);
        let pick = unit(id);
        if pick < cover {
            let shade =
                [srgb(0x4e4340), srgb(0xefece8), srgb(0x8d7a72), srgb(0x2c2725)][(id & 3) as usize];
            let size = 0.25 + 0.3 * unit(id.wrapping_mul(31));
            color = color.lerp(shade, 0.75 * smoothstep(size + 0.12, size - 0.12, distance));
        }
    }
    color
}

fn red_paper(centered: Vec2, p: Vec2, seed: u32) -> Vec3 {
    let from = centered - Vec2::new(1.9, -0.4);
    // Rays without an angle: the slope of the line from the fan's corner, in even steps.
    let slope = from.y / from.x.min(-0.05) * 11.0;
    let edge = (slope.rem_euclid(1.0) - 0.5).abs();
    let fold = smoothstep(0.47, 0.5, edge) * 0.18;
    let mottled = fractal(p * 9.0, 4, seed);
    srgb(0xcf1624) * (0.82 + 0.3 * mottled + fold) + Vec3::splat(0.015)
}

fn brown_tray(place: Vec2, p: Vec2, seed: u32) -> Vec3 {
    let dull = fractal(p * 2.5, 4, seed);
    let scratch = crease(p * Vec2::new(1.0, 3.0), 0.008, seed + 3) * 0.05;
    let lip = smoothstep(0.035, 0.0, (place.y + 0.88 + 0.03 * place.x).abs());
    srgb(0x57402f) * (0.8 + 0.4 * dull + 0.5 * lip) + Vec3::splat(scratch)
}

fn grey_planks(p: Vec2, seed: u32) -> Vec3 {
    const WIDTH: f32 = 0.62;
    let row = (p.y / WIDTH).floor();
    let across = p.y - row * WIDTH;
    let board = seed + (row as i32 & 0xff) as u32 * 23;
    let warp = 0.1 * fractal(p * Vec2::new(0.9, 2.5), 2, board);
    let y = p.y + warp;
    let fiber = fractal(Vec2::new(p.x * 2.2, y * 34.0), 3, board + 3);
    let band = fractal(Vec2::new(p.x * 0.5, y * 4.5), 2, board + 5);
    let patch = fractal(p * Vec2::new(1.6, 2.4), 3, seed + 9);
    let crack = smoothstep(0.68, 0.8, value(Vec2::new(p.x * 1.6, y * 46.0), board + 11));
    let sand = value(p * 75.0, seed + 13) - 0.5;
    let tone = 0.36 + 0.9 * (band - 0.5) + 0.8 * (fiber - 0.5) + 0.8 * (patch - 0.5) + 0.16 * sand;
    let mut color = srgb(0x2c2e32).lerp(srgb(0xb3b8bd), tone.clamp(0.0, 1.0));
    color = color.lerp(srgb(0x5f5145), 0.6 * smoothstep(0.5, 0.66, fractal(p * 1.1, 2, seed + 17)));
    color *= (1.0 - 0.55 * crack) * (1.0 - 0.75 * smoothstep(0.016, 0.006, across));
    // A clear sheet lies over the planks; its creases catch the light.
    let sheen = 0.07 * smoothstep(0.42, 0.75, fractal(p * 0.9, 2, seed + 23));
    let lines = crease(Vec2::new(0.8 * p.x + p.y, 0.25 * p.y - 0.3 * p.x) * 1.6, 0.007, seed + 31)
        + crease(Vec2::new(p.x - 0.6 * p.y, 0.3 * p.x + 0.2 * p.y) * 2.1, 0.006, seed + 41);
    let broken = smoothstep(0.5, 0.72, fractal(p * 2.3, 2, seed + 43));
    color + Vec3::new(0.92, 0.97, 1.0) * (sheen + 0.2 * lines * broken)
}

fn pale_planks(p: Vec2, seed: u32) -> Vec3 {
    const WIDTH: f32 = 1.35;
    let row = (p.y / WIDTH).floor();
    let across = p.y - row * WIDTH;
    let board = seed + (row as i32 & 0xff) as u32 * 19;
    let mut q = Vec2::new(p.x + row * 3.7, across);
    // Fibres bend around the knots.
    let (knot, id) = grain(q * Vec2::new(0.55, 0.9), board);
    let near = smoothstep(0.3, 0.0, knot);
    q.y += 0.11 * near * (unit(id) - 0.5).signum();
    let warp = fractal(q * Vec2::new(0.5, 2.2), 2, board + 1);
    let ring = ((q.y * 7.0 + 2.6 * warp).rem_euclid(1.0) - 0.5).abs() * 2.0;
    let fiber = fractal(Vec2::new(q.x * 1.5, q.y * 42.0), 2, board + 2);
    let stain = fractal(q * Vec2::new(0.8, 1.7), 3, board + 5);
    let mut color = srgb(0xc9b594).lerp(srgb(0x94795b), 0.5 * ring * warp + 0.5 * (fiber - 0.3));
    color = color.lerp(srgb(0x7d776c), 0.8 * smoothstep(0.4, 0.66, stain));
    color = color.lerp(srgb(0x4a3322), 0.75 * smoothstep(0.1, 0.035, knot));
    let saw = smoothstep(0.6, 0.8, value(Vec2::new(q.x * 34.0, q.y * 3.0), board + 8));
    color *= 0.95 + 0.1 * unit(board.wrapping_mul(0x9e37_79b1)) - 0.09 * saw;
    let rough = 0.02 * fractal(Vec2::new(p.x * 3.0, row), 3, seed + 3);
    let edge = across.min(WIDTH - across) - rough;
    let gap = smoothstep(0.055, 0.04, edge);
    color *= 1.0 - 0.3 * smoothstep(0.13, 0.06, edge);
    color.lerp(srgb(0x363a3a) * (0.6 + 0.8 * fractal(p * 6.0, 3, seed)), gap)
}

fn concrete(p: Vec2, seed: u32) -> Vec3 {
    let cloud = fractal(p * 1.6, 5, seed);
    let (pit, id) = grain(p * 16.0, seed + 2);
    let hole = if unit(id) < 0.12 { smoothstep(0.16, 0.08, pit) } else { 0.0 };
    let sand = fractal(p * 60.0, 2, seed + 4);
    srgb(0x8f8f8b) * (0.55 + 0.6 * cloud + 0.3 * sand) * (1.0 - 0.5 * hole)
}

fn marble(p: Vec2, seed: u32) -> Vec3 {
    let bent = p + Vec2::new(fractal(p * 1.2, 4, seed), fractal(p * 1.2, 4, seed + 9)) * 0.8;
    let vein = crease(bent * 0.8, 0.06, seed + 3) * fractal(p * 2.0, 2, seed + 5);
    let fine = crease(bent * 2.3, 0.03, seed + 7) * 0.4;
    let cloud = fractal(p * 1.0, 4, seed + 11);
    srgb(0xd9d8d5)
        .lerp(srgb(0x83858a), (0.9 * vein + fine * vein + 0.25 * (cloud - 0.3)).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn train_and_test_share_no_table() {
        for kind in Kind::of(Split::Train) {
            assert!(!Kind::of(Split::Test).contains(kind), "{kind:?} is in both");
        }
    }
}
