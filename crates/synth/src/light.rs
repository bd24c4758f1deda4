//! The room: one soft key light, light from all around, and what shines back from glossy things.

use glam::{Vec2, Vec3};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::noise::smoothstep;

/// A bright rectangle far away: a window, a lamp, the phone's own flash.
struct Panel {
    to: Vec3,
    across: Vec3,
    along: Vec3,
    /// Half width and half height, as tangents of the angle.
    half: Vec2,
    radiance: Vec3,
}

impl Panel {
    fn new(to: Vec3, half: Vec2, radiance: Vec3) -> Panel {
        let to = to.normalize();
        let across = to.any_orthonormal_vector();
        Panel { to, across, along: to.cross(across), half, radiance }
    }

    /// What a mirror with the given roughness sees of it; spread light is dimmer light.
    fn seen(&self, direction: Vec3, roughness: f32) -> Vec3 {
        let facing = direction.dot(self.to);
        if facing <= 0.05 {
            return Vec3::ZERO;
        }
        let soft = 0.03 + roughness;
        let inside = |tangent: f32, half: f32| {
            smoothstep(half + soft, (half - soft).min(half * 0.3), (tangent / facing).abs())
                * (half / (half + 0.6 * roughness))
        };
        let cover = inside(direction.dot(self.across), self.half.x)
            * inside(direction.dot(self.along), self.half.y);
        self.radiance * cover
    }
}

/// All the light of one photograph. Directions point away from the table, whose normal is +z.
pub(crate) struct Light {
    /// Towards the key light.
    pub(crate) key: Vec3,
    key_radiance: Vec3,
    /// Half the key light's angular width, as a tangent: the softness of shadows.
    pub(crate) penumbra: f32,
    fill: Vec3,
    /// Change of brightness per unit of table.
    falloff: Vec2,
    panels: Vec<Panel>,
    ceiling: Vec3,
    wall: Vec3,
    wall_tilt: Vec2,
    /// Towards the camera: whoever holds it is a dark reflection.
    photographer: Vec3,
}

impl Light {
    /// A random room seen from a camera in the direction `eye`.
    pub(crate) fn sample(eye: Vec3, rng: &mut ChaCha8Rng) -> Light {
        let azimuth = Vec2::from_angle(rng.random_range(0.0..std::f32::consts::TAU));
        let steep = rng.random_range(0.65..1.7);
        let key = azimuth.extend(steep).normalize();
        let warmth = rng.random_range(-0.12..0.12);
        let tint = |w: f32| Vec3::new(1.0 + w, 1.0, 1.0 - w);
        let share = rng.random_range(0.35..0.75);
        let key_radiance = tint(warmth) * share * 1.2;
        let fill = tint(-0.6 * warmth) * (1.0 - share);

        let window = Vec2::new(rng.random_range(0.15..0.45), rng.random_range(0.2..0.6));
        let mut panels = vec![Panel::new(key, window, tint(warmth) * rng.random_range(5.0..14.0))];
        for _ in 0..rng.random_range(0..4) {
            let to = Vec2::from_angle(rng.random_range(0.0..std::f32::consts::TAU))
                .extend(rng.random_range(0.6..2.5));
            let half = Vec2::new(rng.random_range(0.03..0.35), rng.random_range(0.03..0.3));
            panels.push(Panel::new(to, half, tint(-warmth) * rng.random_range(2.0..9.0)));
        }
        if rng.random_bool(0.35) {
            let off = Vec2::from_angle(rng.random_range(0.0..std::f32::consts::TAU)) * 0.12;
            panels.push(Panel::new(eye + off.extend(0.0), Vec2::splat(0.03), Vec3::splat(40.0)));
        }
        Light {
            key,
            key_radiance,
            penumbra: rng.random_range(0.12..0.6),
            fill,
            falloff: azimuth * rng.random_range(0.05..0.28),
            panels,
            ceiling: tint(-warmth) * rng.random_range(0.45..0.8),
            wall: tint(warmth) * rng.random_range(0.1..0.35),
            wall_tilt: Vec2::from_angle(rng.random_range(0.0..std::f32::consts::TAU))
                * rng.random_range(0.2..0.8),
            photographer: eye,
        }
    }

    /// How much brighter than the middle a place on the table is.
    pub(crate) fn falloff(&self, place: Vec2) -> f32 {
        (1.0 + self.falloff.dot(place)).clamp(0.4, 1.6)
    }

    /// Light that arrives at a matte surface: `sun` 0..1 is what shadows leave of the key light,
    /// `sky` 0..1 what walls nearby leave of the light from all around.
    pub(crate) fn arriving(&self, normal: Vec3, sun: f32, sky: f32) -> Vec3 {
        let facing = normal.dot(self.key).max(0.0) / self.key.z.max(0.3);
        self.key_radiance * facing.min(1.8) * sun + self.fill * sky * (0.7 + 0.3 * normal.z)
    }

    /// Light that arrives from a direction, as a mirror of the given roughness gathers it.
    pub(crate) fn seen(&self, direction: Vec3, roughness: f32) -> Vec3 {
        let side = 1.0 + self.wall_tilt.dot(direction.truncate());
        let up = smoothstep(0.15 - roughness, 0.75 + roughness, direction.z);
        let mut light = self.wall.lerp(self.ceiling, up) * side.max(0.2);
        for panel in &self.panels {
            light += panel.seen(direction, roughness);
        }
        let hidden = smoothstep(0.93 - 0.3 * roughness, 0.995, direction.dot(self.photographer));
        light * (1.0 - 0.6 * hidden)
    }
}
