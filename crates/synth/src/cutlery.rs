//! A spoon, fork or knife beside the dish.

use glam::{Vec2, Vec3};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::camera::Ray;
use crate::light::Light;
use crate::noise::smoothstep;

enum Head {
    Spoon,
    Fork,
    Knife,
}

/// One piece of polished steel that lies on the table.
pub(crate) struct Cutlery {
    head: Head,
    /// Middle of the piece.
    middle: Vec2,
    /// From the handle's end to the head.
    along: Vec2,
    /// Half its length.
    half: f32,
}

/// How high steel lies above the table, for its shadow.
const LIFT: f32 = 0.035;

impl Cutlery {
    /// A piece at the edge of the photograph, on the side where a dish at `center` leaves room.
    pub(crate) fn beside(center: Vec2, radius: f32, rng: &mut ChaCha8Rng) -> Cutlery {
        let side = if center.x > 0.0 { -1.0 } else { 1.0 };
        let distance = radius + rng.random_range(0.12..0.3);
        let upright = Vec2::from_angle(rng.random_range(-0.3..0.3)).perp();
        let up = if rng.random_bool(0.8) { -1.0 } else { 1.0 };
        Cutlery {
            head: match rng.random_range(0..3) {
                0 => Head::Spoon,
                1 => Head::Fork,
                _ => Head::Knife,
            },
            middle: center + Vec2::new(side * distance, rng.random_range(-0.3..0.3)),
            along: upright * up,
            half: rng.random_range(0.6..0.8),
        }
    }

    /// Distance from a place to the outline, below zero on the steel.
    fn distance(&self, place: Vec2) -> f32 {
        let off = place - self.middle;
        if off.length_squared() > 1.2 * self.half * self.half {
            return f32::MAX;
        }
        let p = Vec2::new(off.dot(self.along) / self.half, off.perp_dot(self.along) / self.half);
        let bar = |from: f32, to: f32, y: f32, thick: f32| {
            (p - Vec2::new(p.x.clamp(from, to), y)).length() - thick
        };
        // The handle swells towards its end and thins out at the neck.
        let handle = bar(-0.93, 0.5, 0.0, 0.028 + 0.035 * smoothstep(0.2, -0.9, p.x));
        let head = match self.head {
            Head::Spoon => {
                ((p - Vec2::new(0.72, 0.0)) / Vec2::new(0.27, 0.165)).length() * 0.165 - 0.165
            }
            Head::Knife => bar(0.0, 0.9, 0.02, 0.065),
            Head::Fork => {
                let tines = [-0.09, -0.03, 0.03, 0.09].map(|y| bar(0.6, 0.95, y, 0.017));
                bar(0.5, 0.62, 0.0, 0.1).min(tines.into_iter().fold(f32::MAX, f32::min))
            }
        };
        handle.min(head) * self.half
    }

    /// What it leaves of the light that falls on the table beside and below it.
    pub(crate) fn shade(&self, place: Vec2, light: &Light) -> f32 {
        let towards = light.key.truncate() / light.key.z * LIFT;
        let soft = 0.01 + LIFT * light.penumbra;
        let sun = smoothstep(-soft, soft, self.distance(place + towards));
        let near = smoothstep(-0.01, 0.05, self.distance(place));
        (0.45 + 0.55 * sun) * (0.7 + 0.3 * near)
    }

    /// How much of a sample it covers, and the light it mirrors there.
    pub(crate) fn seen(&self, place: Vec2, ray: Ray, light: &Light) -> Option<(f32, Vec3)> {
        const SOFT: f32 = 0.005;
        const STEP: f32 = 0.004;
        let distance = self.distance(place);
        if distance > SOFT {
            return None;
        }
        // A spoon's head is hollow, everything else rounded towards its edges.
        let across = Vec2::new(
            self.distance(place + Vec2::new(STEP, 0.0)) - distance,
            self.distance(place + Vec2::new(0.0, STEP)) - distance,
        ) / STEP;
        let hollow = matches!(self.head, Head::Spoon)
            && (place - self.middle).dot(self.along) > 0.45 * self.half;
        let round = if hollow { -0.7 } else { 0.9 } * smoothstep(-0.05, 0.0, distance);
        let normal = (across * round).extend(1.0).normalize();
        let reflected = ray.direction - 2.0 * ray.direction.dot(normal) * normal;
        let cover = smoothstep(SOFT, -SOFT, distance);
        Some((cover, light.seen(reflected, 0.12) * Vec3::new(0.62, 0.62, 0.63)))
    }
}
