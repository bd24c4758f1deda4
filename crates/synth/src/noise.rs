//! Seeded lattice noise: the grain of wood, stone, cloth and of dried food.
//!
//! Everything here is integer hashing and polynomial blending, so that a picture has the same bits
//! on every machine.

use glam::{IVec2, Vec2};

/// Spreads every bit of a number over all 32.
const fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x7feb_352d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}

/// 32 well spread bits for a lattice point and a seed.
pub(crate) fn hash(cell: IVec2, seed: u32) -> u32 {
    mix((cell.x as u32).wrapping_mul(0x9e37_79b1)
        ^ (cell.y as u32).wrapping_mul(0x85eb_ca77)
        ^ seed.wrapping_mul(0xc2b2_ae3d))
}

/// A hash as a number in 0..1.
pub(crate) fn unit(hash: u32) -> f32 {
    (hash >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Rounds down; without SSE4.1 the standard `floor` is a library call, and this is the inner loop.
fn floor(x: f32) -> i32 {
    let whole = x as i32;
    whole - i32::from((whole as f32) > x)
}

/// Splits a point into its lattice cell and the place within it.
pub(crate) fn lattice(p: Vec2) -> (IVec2, Vec2) {
    let cell = IVec2::new(floor(p.x), floor(p.y));
    (cell, p - cell.as_vec2())
}

/// Side of the table of random heights; the noise repeats after as many cells.
const SIDE: usize = 128;

/// Random heights of lattice points: looked up, because hashing four corners took half of all time.
static HEIGHTS: [u8; SIDE * SIDE] = {
    let mut heights = [0; SIDE * SIDE];
    let mut i = 0;
    while i < heights.len() {
        heights[i] = mix(i as u32) as u8;
        i += 1;
    }
    heights
};

/// Value noise in 0..1 with features about one unit wide.
pub(crate) fn value(p: Vec2, seed: u32) -> f32 {
    let (cell, f) = lattice(p);
    let s = f * f * (Vec2::splat(3.0) - 2.0 * f);
    // The seed shifts the table, differently for neighbouring seeds.
    let shift = seed.wrapping_mul(0x9e37_79b1);
    let (x, y) = (cell.x as u32, cell.y as u32);
    let (x, y) = (x.wrapping_add(shift >> 25), y.wrapping_add(shift >> 18));
    let corner = |dx: u32, dy: u32| {
        let column = x.wrapping_add(dx) as usize % SIDE;
        let row = y.wrapping_add(dy) as usize % SIDE;
        f32::from(HEIGHTS[row * SIDE + column])
    };
    let top = corner(0, 0) + s.x * (corner(1, 0) - corner(0, 0));
    let bottom = corner(0, 1) + s.x * (corner(1, 1) - corner(0, 1));
    (top + s.y * (bottom - top)) * (1.0 / 255.0)
}

/// Fractal noise in 0..1, mean 0.5: `octaves` layers, each half as strong and twice as fine.
pub(crate) fn fractal(p: Vec2, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut total, mut q) = (0.0, 1.0, 0.0, p);
    for octave in 0..octaves {
        sum += weight * value(q, seed.wrapping_add(octave));
        total += weight;
        weight *= 0.5;
        // The turn between octaves hides the lattice.
        q = Vec2::new(1.6 * q.x - 1.2 * q.y, 1.2 * q.x + 1.6 * q.y);
    }
    sum / total
}

/// Thin bright creases (1 on the crease, falling to 0) where fractal noise crosses its mean.
pub(crate) fn crease(p: Vec2, width: f32, seed: u32) -> f32 {
    let distance = (fractal(p, 3, seed) - 0.5).abs();
    (1.0 - distance / width).max(0.0)
}

/// Distance to the nearest grain of a jittered lattice (in cells), and that grain's hash.
pub(crate) fn grain(p: Vec2, seed: u32) -> (f32, u32) {
    let (cell, f) = lattice(p);
    let (mut nearest, mut id) = (f32::MAX, 0_u32);
    for y in -1..=1 {
        for x in -1..=1 {
            let offset = IVec2::new(x, y);
            let h = hash(cell + offset, seed);
            let jitter = Vec2::new((h & 0xffff) as f32, (h >> 16) as f32) / 65_536.0;
            let distance = (offset.as_vec2() + jitter - f).length_squared();
            if distance < nearest {
                (nearest, id) = (distance, h);
            }
        }
    }
    (nearest.sqrt(), id.wrapping_mul(0x9e37_79b1))
}

/// Smooth step from 0 at `from` to 1 at `to`; `from > to` steps down.
pub(crate) fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stays_in_range_and_is_continuous() {
        for i in 0..2000 {
            let p = Vec2::new(i as f32 * 0.037 - 30.0, i as f32 * -0.011 + 7.0);
            let here = fractal(p, 4, 9);
            assert!((0.0..=1.0).contains(&here));
            assert!((fractal(p + Vec2::splat(1e-4), 4, 9) - here).abs() < 0.01);
        }
    }

    #[test]
    fn lattice_rounds_down_on_both_sides_of_zero() {
        let (cell, f) = lattice(Vec2::new(-0.25, 2.75));
        assert_eq!(cell, IVec2::new(-1, 2));
        assert_eq!(f, Vec2::new(0.75, 0.75));
    }

    #[test]
    fn smoothstep_also_steps_down() {
        assert_eq!(smoothstep(1.0, 0.0, 1.5), 0.0);
        assert_eq!(smoothstep(1.0, 0.0, -0.5), 1.0);
        assert_eq!(smoothstep(0.0, 1.0, 0.5), 0.5);
    }
}
