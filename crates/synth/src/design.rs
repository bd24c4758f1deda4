//! Which dishes there are: a form, a material and a print.

use glam::{Vec2, Vec3};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::Split;
use crate::canvas::Texture;
use crate::color::srgb;
use crate::dish::{Form, Hollow, Outline, Pocket, Profile};
use crate::pattern;

/// How a surface treats light.
#[derive(Clone)]
pub(crate) struct Material {
    /// Its own colour, or the tint of a metal's reflections.
    pub(crate) color: Vec3,
    /// Mirrored share of light from above: 0.04 for glazes and plastics.
    pub(crate) mirror: f32,
    /// 0 is polished, 0.5 dull.
    pub(crate) roughness: f32,
    /// 1 for bare metal.
    pub(crate) metal: f32,
    /// Depth of the circular grooves that turning or scouring leaves.
    pub(crate) brush: f32,
    /// Share of light that passes through.
    pub(crate) clear: f32,
    /// Strength of speckles and stains in the material itself.
    pub(crate) speckle: f32,
    /// Pale scratches of long use.
    pub(crate) scuffed: f32,
}

impl Material {
    fn glazed(color: Vec3) -> Material {
        Material {
            color,
            mirror: 0.045,
            roughness: 0.04,
            metal: 0.0,
            brush: 0.0,
            clear: 0.0,
            speckle: 0.0,
            scuffed: 0.0,
        }
    }
}

/// A dish that can be met in several photographs.
pub(crate) struct Design {
    pub(crate) form: Form,
    pub(crate) material: Material,
    pub(crate) print: Option<Texture>,
    /// A coloured rim, as enamel has: where it begins, and its colour.
    pub(crate) edge: Option<(f32, Vec3)>,
}

#[derive(Clone, Copy)]
enum Family {
    Porcelain,
    Stoneware,
    Plastic,
    Metal,
    Glass,
    Enamel,
    Tray,
    Box,
}

impl Family {
    /// The families of a split; one named more often is met more often.
    const fn of(split: Split) -> &'static [Family] {
        use Family::{Box, Enamel, Glass, Metal, Plastic, Porcelain, Stoneware, Tray};
        match split {
            Split::Train => &[
                Porcelain, Porcelain, Porcelain, Porcelain, Porcelain, Porcelain, Porcelain,
                Stoneware, Stoneware, Stoneware, Stoneware, Glass, Plastic, Plastic, Metal, Enamel,
            ],
            Split::Test => &[
                Metal, Metal, Metal, Metal, Metal, Metal, Metal, Plastic, Plastic, Plastic,
                Plastic, Plastic, Plastic, Porcelain, Porcelain, Porcelain, Stoneware, Enamel,
                Enamel, Glass, Tray, Box,
            ],
        }
    }
}

const WHITES: [u32; 5] = [0xe9e8e4, 0xf0efec, 0xe4e6e8, 0xe6dfcf, 0xdfd3bb];
const EARTHS: [u32; 7] = [0x2b2d2e, 0x3a3f42, 0x7d6f5c, 0x9a8a73, 0xd8cdb8, 0x4d5a5c, 0xb9b5a8];
const PLASTICS: [u32; 12] = [
    0xd8303c, 0xc01a22, 0x1fae34, 0x157a44, 0xe8c81a, 0x7a48c8, 0xe95fb0, 0x2a86d8, 0xf08a1c,
    0x8fd13a, 0x7ed0bb, 0xcfc2a0,
];

/// The dish that the generator's random numbers stand for: the same numbers, the same dish.
pub(crate) fn sample(split: Split, rng: &mut ChaCha8Rng) -> Design {
    let family = *Family::of(split).choose(rng).unwrap_or(&Family::Porcelain);
    let outline = outline(family, rng);
    let hollow = hollow(family, rng);
    let mut material = material(family, rng);
    let printed = match family {
        Family::Porcelain => 0.55,
        Family::Stoneware => 0.2,
        Family::Enamel => 0.35,
        Family::Glass | Family::Plastic => 0.12,
        Family::Metal | Family::Tray | Family::Box => 0.0,
    };
    let print = rng.random_bool(printed).then(|| pattern::print(&outline, rng));
    if print.is_some() {
        material.roughness = material.roughness.min(0.12);
    }
    let edge = match family {
        Family::Enamel => {
            Some((0.955, srgb(*[0x14181f, 0x1d3557, 0x7a1f1f].choose(rng).unwrap_or(&0))))
        }
        Family::Stoneware if rng.random_bool(0.4) => Some((0.97, srgb(0x5b4332))),
        _ => None,
    };
    Design { form: Form::new(outline, hollow), material, print, edge }
}

fn outline(family: Family, rng: &mut ChaCha8Rng) -> Outline {
    let mut outline = Outline { axes: Vec2::ONE, square: 0.0, lobes: 0.0, flutes: (0, 0.0) };
    match family {
        Family::Tray => {
            outline.axes.y = rng.random_range(0.72..0.9);
            outline.square = 0.95;
        }
        Family::Box => {
            outline.axes.y = rng.random_range(0.65..1.0);
            outline.square = rng.random_range(0.75..0.95);
        }
        Family::Metal => {
            if rng.random_bool(0.12) {
                outline.axes.y = rng.random_range(0.55..0.75);
            }
        }
        _ => match rng.random_range(0..20) {
            0..=9 => {}
            10..=12 => outline.axes.y = rng.random_range(0.55..0.85),
            13..=15 => outline.square = rng.random_range(0.45..0.85),
            16 => {
                outline.axes.y = rng.random_range(0.55..0.75);
                outline.square = rng.random_range(0.4..0.8);
            }
            17 => outline.lobes = rng.random_range(0.03..0.07),
            _ => outline.flutes = (rng.random_range(20..48), rng.random_range(0.03..0.07)),
        },
    }
    outline
}

fn hollow(family: Family, rng: &mut ChaCha8Rng) -> Hollow {
    let flat = |rng: &mut ChaCha8Rng| {
        let (well, rim) = (rng.random_range(0.5..0.68), rng.random_range(0.12..0.2));
        Profile::through(&[
            (0.0, 0.02),
            (well - 0.04, 0.022),
            (well, 0.035),
            (well + 0.09, 0.55 * rim),
            (0.95, rim - 0.012),
            (0.985, rim),
            (1.0, rim - 0.02),
        ])
    };
    let coupe = |rng: &mut ChaCha8Rng| {
        let rim = rng.random_range(0.1..0.2);
        let turn = rng.random_range(0.78..0.88);
        Profile::through(&[
            (0.0, 0.02),
            (turn - 0.06, 0.024),
            (turn, 0.04),
            (0.95, rim - 0.01),
            (0.975, rim),
            (1.0, rim - 0.03),
        ])
    };
    let bowl = |low: f32, high: f32, rng: &mut ChaCha8Rng| {
        let (foot, deep) = (rng.random_range(0.32..0.58), rng.random_range(low..high));
        // The wall is an arc that steepens towards the rim; a small ring marks the foot.
        let mut knots = vec![(0.0, 0.021), (foot - 0.05, 0.02), (foot - 0.015, 0.028)];
        for step in [0.15, 0.35, 0.55, 0.75, 0.9] {
            let t: f32 = step;
            knots.push((foot + t * (0.97 - foot), 0.03 + t * (0.35 + 0.65 * t) * (deep - 0.03)));
        }
        knots.extend([(0.975, deep), (1.0, deep - 0.02)]);
        Profile::through(&knots)
    };
    let pan = |rng: &mut ChaCha8Rng| {
        let (foot, deep) = (rng.random_range(0.3..0.46), rng.random_range(0.3..0.55));
        Profile::through(&[
            (0.0, 0.05),
            (foot - 0.06, 0.048),
            (foot - 0.02, 0.03),
            (foot + 0.02, 0.028),
            (foot + 0.08, 0.08),
            (0.62, 0.42 * deep),
            (0.84, 0.88 * deep),
            (0.88, 0.93 * deep),
            (0.93, 0.945 * deep),
            (0.965, deep),
            (1.0, deep - 0.035),
        ])
    };
    match family {
        Family::Tray => {
            let pocket = |x: f32, y: f32, w: f32, h: f32| Pocket {
                center: Vec2::new(x, y),
                half: Vec2::new(w, h),
                corner: 0.12,
            };
            let pockets = vec![
                pocket(0.32, 0.0, 0.5, 0.6),
                pocket(-0.56, -0.32, 0.3, 0.27),
                pocket(-0.56, 0.32, 0.3, 0.27),
            ];
            Hollow::Tray(rng.random_range(0.12..0.18), pockets)
        }
        Family::Box => {
            let height = rng.random_range(0.25..0.42);
            let pocket = Pocket { center: Vec2::ZERO, half: Vec2::new(0.93, 0.6), corner: 0.25 };
            if rng.random_bool(0.5) {
                Hollow::Tray(0.5 * height, vec![pocket])
            } else {
                Hollow::Turned(bowl(0.25, 0.45, rng))
            }
        }
        Family::Metal => {
            Hollow::Turned(if rng.random_bool(0.8) { pan(rng) } else { bowl(0.3, 0.5, rng) })
        }
        Family::Plastic => Hollow::Turned(match rng.random_range(0..6) {
            0 => flat(rng),
            1 => coupe(rng),
            _ => bowl(0.25, 0.6, rng),
        }),
        Family::Enamel => {
            Hollow::Turned(if rng.random_bool(0.6) { bowl(0.2, 0.5, rng) } else { flat(rng) })
        }
        Family::Porcelain | Family::Stoneware | Family::Glass => {
            Hollow::Turned(match rng.random_range(0..8) {
                0..=3 => flat(rng),
                4 | 5 => coupe(rng),
                _ => bowl(0.2, 0.5, rng),
            })
        }
    }
}

fn material(family: Family, rng: &mut ChaCha8Rng) -> Material {
    let mut pick = |colors: &[u32]| srgb(*colors.choose(rng).unwrap_or(&0x808080));
    match family {
        Family::Porcelain => Material::glazed(pick(&WHITES)),
        Family::Enamel => Material::glazed(pick(&[0xe9e6dc, 0xe8d9b0, 0xd6e0e4, 0xeceae6])),
        Family::Stoneware => {
            let color = pick(&EARTHS);
            Material {
                roughness: rng.random_range(0.1..0.4),
                speckle: rng.random_range(0.1..0.6),
                ..Material::glazed(color)
            }
        }
        Family::Plastic | Family::Tray => {
            let color = pick(&PLASTICS);
            Material {
                roughness: rng.random_range(0.12..0.35),
                mirror: 0.04,
                scuffed: rng.random_range(0.0..1.0),
                clear: if rng.random_bool(0.15) { 0.2 } else { 0.0 },
                ..Material::glazed(color)
            }
        }
        Family::Box => {
            let color = pick(&[0xdfe4e6, 0xe8e6e2, 0x7a48c8, 0xc9d8e4]);
            Material {
                roughness: 0.15,
                clear: rng.random_range(0.3..0.7),
                scuffed: rng.random_range(0.2..1.0),
                ..Material::glazed(color)
            }
        }
        Family::Metal => {
            let color = pick(&[0xc4c5c8, 0xc9c9c9, 0xb8bbc0, 0xcfc6b4, 0xa9a9ab]);
            Material {
                mirror: 0.7,
                metal: 1.0,
                roughness: rng.random_range(0.06..0.2),
                brush: rng.random_range(0.2..1.0),
                scuffed: rng.random_range(0.1..1.0),
                ..Material::glazed(color)
            }
        }
        Family::Glass => {
            let color = pick(&[0x8a7a5c, 0xb8c8c0, 0xc4ccd0, 0x6a5a44]);
            Material {
                clear: rng.random_range(0.65..0.85),
                mirror: 0.06,
                ..Material::glazed(color)
            }
        }
    }
}
