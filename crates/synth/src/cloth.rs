//! Printed and checked cloths.

use glam::{Vec2, Vec3};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::canvas::{Canvas, Ink, Texture, blob, circle, closed, curve, petal};
use crate::color::srgb;
use crate::noise::smoothstep;

const SIZE: u32 = 640;

/// Places on the sheet, jittered around an even grid; none so near the edge that a motif of
/// `margin` would be cut where the sheet repeats.
fn places(count: u32, margin: f32, rng: &mut ChaCha8Rng) -> Vec<Vec2> {
    let step = (2.0 - 2.0 * margin) / (count - 1) as f32;
    (0..count * count)
        .map(|i| {
            let cell = Vec2::new((i % count) as f32, (i / count) as f32);
            let jitter = Vec2::new(rng.random_range(-0.2..0.2), rng.random_range(-0.2..0.2));
            Vec2::splat(margin - 1.0) + (cell + jitter) * step
        })
        .collect()
}

/// Small outlined kitchen things in black with a few red and yellow ones, on a pale cloth.
pub(crate) fn doodles(rng: &mut ChaCha8Rng) -> Texture {
    let mut canvas = Canvas::new(SIZE);
    for place in places(11, 0.09, rng) {
        let turn = Vec2::from_angle(rng.random_range(0.0..std::f32::consts::TAU));
        let at = |x: f32, y: f32| place + turn.rotate(Vec2::new(x, y));
        let size = rng.random_range(0.03..0.075);
        let ink = Ink(*[0x2a2a30, 0x2a2a30, 0x2a2a30, 0x3b3f55].choose(rng).unwrap_or(&0), 0.85);
        let fill =
            Ink(*[0xc23b32, 0xd9a53c, 0xc23b32, 0x2f3238, 0x6d8a54].choose(rng).unwrap_or(&0), 0.8);
        let line = 0.008;
        match rng.random_range(0..5) {
            0 => {
                canvas.fill(blob(place, size * 0.7, 0.15, rng), fill);
                canvas.stroke(blob(place, size * 0.75, 0.2, rng), line, ink);
            }
            1 => {
                let body = [(-1.0, 0.6), (-0.8, -0.7), (0.8, -0.7), (1.0, 0.6), (-1.0, 0.6)];
                let points = body.map(|(x, y)| at(x * size, y * size));
                canvas.stroke(curve(&points), line, ink);
                canvas.stroke(
                    curve(&[at(-size, 0.0), at(0.0, 0.2 * size), at(size, 0.0)]),
                    line,
                    ink,
                );
            }
            2 => {
                canvas.stroke(
                    curve(&[at(-1.4 * size, 0.0), at(0.0, 0.1 * size), at(size, 0.0)]),
                    line * 1.4,
                    ink,
                );
                canvas.fill(circle(at(1.2 * size, 0.0), size * 0.35), ink);
            }
            3 => {
                for i in 0..3 {
                    let tip = at(size * (i as f32 - 1.0) * 0.8, -size);
                    canvas.fill(
                        petal(at(0.0, size * 0.5), tip, 0.2),
                        if i == 1 { fill } else { ink },
                    );
                }
            }
            _ => {
                // A scribbled word.
                let letters: Vec<Vec2> = (0..14)
                    .map(|i| {
                        let x = (i as f32 / 13.0 - 0.5) * 2.6 * size;
                        at(x, size * 0.35 * rng.random_range(-1.0..1.0))
                    })
                    .collect();
                canvas.stroke(curve(&letters), line * 0.9, ink);
            }
        }
    }
    canvas.into_texture()
}

/// Washed-out big flowers.
pub(crate) fn flowers(rng: &mut ChaCha8Rng) -> Texture {
    let mut canvas = Canvas::new(SIZE);
    for place in places(4, 0.3, rng) {
        let size = rng.random_range(0.12..0.26);
        let hue = *[0xc9a96a, 0x8f9aa8, 0xb98a62, 0xa7a7a0].choose(rng).unwrap_or(&0);
        let petals = rng.random_range(9..15);
        let turn = rng.random_range(0.0..1.0);
        for i in 0..petals {
            let angle = turn + std::f32::consts::TAU * i as f32 / petals as f32;
            let tip = place + Vec2::from_angle(angle) * size * rng.random_range(0.85..1.05);
            canvas.fill(petal(place, tip, 0.28), Ink(hue, 0.55));
            canvas.stroke(petal(place, tip, 0.28), 0.004, Ink(0x6f5a40, 0.35));
        }
        canvas.fill(circle(place, size * 0.2), Ink(0x5f4a30, 0.6));
        for _ in 0..3 {
            let direction = Vec2::from_angle(rng.random_range(0.0..std::f32::consts::TAU));
            let root = place + direction * size;
            canvas.fill(petal(root, root + direction * size * 0.7, 0.3), Ink(0x8f9a78, 0.4));
        }
        canvas.stroke(closed(place, 24, |_| size * 1.06), 0.003, Ink(0x6f5a40, 0.15));
    }
    canvas.into_texture()
}

/// Blue and white checks, darker where stripes cross.
pub(crate) fn checks(p: Vec2) -> Vec3 {
    let stripe = |x: f32| {
        let phase = (x * 2.4).rem_euclid(1.0);
        smoothstep(0.0, 0.03, phase) * smoothstep(0.53, 0.5, phase)
    };
    srgb(0xdfe2e4).lerp(srgb(0x3f5f8c), 0.5 * (stripe(p.x) + stripe(p.y)))
}
