//! The skin of a dish at one place: material, print, wear, and the dirt on it.

use glam::{Vec2, Vec3};

use crate::design::Design;
use crate::dirt::Dirt;
use crate::noise::{crease, fractal, grain, smoothstep, unit, value};

/// What light meets at one place of a dish.
pub(crate) struct Skin {
    pub(crate) color: Vec3,
    pub(crate) mirror: f32,
    pub(crate) roughness: f32,
    pub(crate) metal: f32,
    pub(crate) clear: f32,
    /// Colour of light that passed through.
    pub(crate) tint: Vec3,
    /// Colour of reflections: white but for metals.
    pub(crate) shine_tint: Vec3,
    /// Unevenness of the material, as height per length.
    pub(crate) slope: Vec2,
    /// How much of the place food covers.
    pub(crate) food: f32,
}

impl Skin {
    /// The clean dish.
    pub(crate) fn bare(design: &Design, p: Vec2, rho: f32, seed: u32) -> Skin {
        let material = &design.material;
        let mut skin = Skin {
            color: material.color,
            mirror: material.mirror,
            roughness: material.roughness,
            metal: material.metal,
            clear: material.clear,
            tint: material.color.max(Vec3::splat(0.25)),
            shine_tint: Vec3::ONE.lerp(material.color * 1.35, material.metal),
            slope: Vec2::ZERO,
            food: 0.0,
        };
        if material.speckle > 0.0 {
            let cloud = fractal(p * 5.0, 4, seed) - 0.5;
            let (distance, id) = grain(p * 30.0, seed ^ 0x33);
            let dot = if unit(id) < 0.3 { smoothstep(0.3, 0.15, distance) } else { 0.0 };
            skin.color *= 1.0 + material.speckle * (0.5 * cloud - 0.35 * dot);
        }
        if material.brush > 0.0 || material.scuffed > 0.0 {
            skin.wear(material.brush, material.scuffed, p, rho, seed);
        }
        if let Some(print) = &design.print {
            let ink = print.sample(p);
            skin.color = skin.color * (1.0 - ink.w) + ink.truncate();
            skin.clear *= 1.0 - ink.w;
        }
        if let Some((from, color)) = design.edge {
            let cover = smoothstep(from - 0.008, from + 0.008, rho);
            skin.color = skin.color.lerp(color, cover);
        }
        // No glaze is perfectly flat: reflections waver a little.
        let wave = |q: Vec2| value(q * 5.0, seed ^ 0x99);
        skin.slope += 0.012 * Vec2::new(wave(p) - 0.5, wave(p + 37.0) - 0.5);
        skin
    }

    fn wear(&mut self, brush: f32, scuffed: f32, p: Vec2, rho: f32, seed: u32) {
        let out = p.normalize_or_zero();
        if self.metal > 0.0 {
            // Lathe grooves run around the centre and tilt the surface in and out.
            let groove = value(Vec2::new(rho * 130.0, out.x * 3.0), seed)
                + 0.6 * value(Vec2::new(rho * 47.0, out.y * 2.0), seed ^ 0x11);
            self.slope += out * (groove - 0.8) * 0.16 * brush;
            let dent = |q: Vec2| fractal(q * 7.0, 3, seed ^ 0x21);
            self.slope += 0.16 * Vec2::new(dent(p) - 0.5, dent(p + 11.0) - 0.5);
            // Spoons scratch the floor more than the walls.
            let scratch = |q: Vec2| fractal(q * Vec2::new(34.0, 12.0), 3, seed ^ 0x31);
            let used = scuffed * (0.2 + smoothstep(0.75, 0.15, rho));
            self.slope += 0.34 * used * Vec2::new(scratch(p) - 0.5, scratch(p.perp() + 7.0) - 0.5);
            self.shine_tint *= 0.8 + 0.4 * fractal(p * 4.0, 4, seed ^ 0x41);
        } else {
            let lines = crease(p * Vec2::new(3.0, 5.0), 0.006, seed ^ 0x12)
                + crease(Vec2::new(p.x + p.y, p.x - p.y) * 3.5, 0.005, seed ^ 0x13);
            let cloud = smoothstep(0.45, 0.8, fractal(p * 4.0, 4, seed ^ 0x14));
            let haze = scuffed * (0.1 * lines + 0.06 * cloud);
            self.color = self.color.lerp(Vec3::splat(0.75), haze);
        }
    }

    /// Lays stains, food and water over the dish; returns the slope of their surface.
    pub(crate) fn soil(&mut self, dirt: &Dirt, p: Vec2) -> Vec2 {
        let stain = dirt.stain.sample(p);
        let food = dirt.food.sample(p);
        let relief = dirt.relief.sample(p);
        let water = relief.z;
        for layer in [stain, food] {
            self.color = self.color * (1.0 - layer.w) + layer.truncate();
        }
        self.food = food.w;
        let cover = (stain.w * 0.8).max(food.w);
        self.metal *= 1.0 - cover;
        self.clear *= 1.0 - cover;
        self.mirror += (0.04 - self.mirror) * cover;
        self.shine_tint = self.shine_tint.lerp(Vec3::ONE, cover);
        self.roughness += (0.22 - self.roughness) * cover;
        self.roughness *= 1.0 - 0.9 * water;
        self.color *= 1.0 - 0.12 * water;
        relief.truncate().truncate()
    }
}
