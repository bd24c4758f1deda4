//! What is printed on a dish and is not dirt.

use std::f32::consts::TAU;

use glam::Vec2;
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::canvas::{Canvas, Ink, Texture, blob, circle, closed, curve, petal};
use crate::dish::Outline;

const SIZE: u32 = 384;

/// Colours that go together: a strong one, a second one, a dark one for lines.
type Palette = [u32; 3];

const PALETTES: [Palette; 8] = [
    [0x35679a, 0x86a9c9, 0x1e2f52],
    [0xb5232b, 0x5d8a35, 0x471c1e],
    [0x2f7f80, 0x77b4ac, 0x7a4a2c],
    [0xa4632c, 0x5c3a26, 0x2c1c16],
    [0x8a837a, 0xb4aca0, 0x5b554e],
    [0x6b2f44, 0xc98f4a, 0x2e2438],
    [0x3f6d3a, 0xa7b86a, 0x233f26],
    [0xc9752e, 0xe2b34f, 0x7b3b1f],
];

/// Draws a random print for a dish of the given outline.
pub(crate) fn print(outline: &Outline, rng: &mut ChaCha8Rng) -> Texture {
    let mut canvas = Canvas::new(SIZE);
    let palette = *PALETTES.choose(rng).unwrap_or(&PALETTES[0]);
    match rng.random_range(0..8) {
        0 => bands(&mut canvas, outline, palette, rng),
        1 => blossoms(&mut canvas, outline, palette, rng),
        2 => bouquet(&mut canvas, outline, palette, rng),
        3 => swirls(&mut canvas, outline, palette, rng),
        4 => mosaic(&mut canvas, outline, palette, rng),
        5 => glaze(&mut canvas, outline, palette, rng),
        6 => sprigs(&mut canvas, outline, palette, rng),
        _ => {
            medallion(&mut canvas, outline, palette, rng);
            bands(&mut canvas, outline, palette, rng);
        }
    }
    canvas.into_texture()
}

fn ring(canvas: &mut Canvas, outline: &Outline, rho: f32, width: f32, ink: Ink) {
    canvas.stroke(closed(Vec2::ZERO, 72, |d| outline.reach(d) * rho), width, ink);
}

fn bands(
    canvas: &mut Canvas,
    outline: &Outline,
    [first, second, dark]: Palette,
    rng: &mut ChaCha8Rng,
) {
    ring(canvas, outline, 0.975, 0.03, Ink(dark, 0.9));
    for ink in [first, second].iter().take(rng.random_range(0..3)) {
        let rho = rng.random_range(0.68..0.92);
        ring(canvas, outline, rho, rng.random_range(0.008..0.06), Ink(*ink, 0.85));
    }
}

fn flower(
    canvas: &mut Canvas,
    center: Vec2,
    size: f32,
    [first, second, dark]: Palette,
    rng: &mut ChaCha8Rng,
) {
    let petals = rng.random_range(6..14);
    let turn = rng.random_range(0.0..TAU);
    for i in 0..petals {
        let direction = Vec2::from_angle(turn + TAU * i as f32 / petals as f32);
        let ink = Ink(if i % 3 == 0 { second } else { first }, rng.random_range(0.6..0.9));
        let length = size * rng.random_range(0.8..1.0);
        canvas.fill(petal(center + direction * size * 0.2, center + direction * length, 0.2), ink);
    }
    canvas.fill(circle(center, size * 0.13), Ink(dark, 0.8));
}

/// Blossoms scattered all over.
fn blossoms(canvas: &mut Canvas, outline: &Outline, palette: Palette, rng: &mut ChaCha8Rng) {
    let size = rng.random_range(0.1..0.24);
    let mut placed: Vec<Vec2> = Vec::new();
    for _ in 0..260 {
        let place = Vec2::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
        let free = placed.iter().all(|other| other.distance(place) > 1.75 * size);
        if free && outline.rho(place) < 1.0 - 0.8 * size {
            placed.push(place);
            flower(canvas, place, size, palette, rng);
        }
    }
}

/// One big flower with stems and leaves that reach in from the rim.
fn bouquet(canvas: &mut Canvas, outline: &Outline, palette: Palette, rng: &mut ChaCha8Rng) {
    let direction = Vec2::from_angle(rng.random_range(0.0..TAU));
    let heart = direction * outline.reach(direction) * 0.62;
    let [_, leaf, dark] = palette;
    for _ in 0..rng.random_range(5..10) {
        let away = (direction.rotate(Vec2::from_angle(rng.random_range(-2.6..2.6)))) * -1.0;
        let tip = heart + away * rng.random_range(0.4..0.95);
        if outline.rho(tip) < 0.97 {
            let bend = heart.lerp(tip, 0.5) + away.perp() * rng.random_range(-0.2..0.2);
            canvas.stroke(curve(&[heart, bend, tip]), 0.016, Ink(leaf, 0.9));
            canvas.fill(petal(bend, tip, rng.random_range(0.12..0.3)), Ink(leaf, 0.85));
            canvas.stroke(curve(&[bend, tip]), 0.005, Ink(dark, 0.5));
        }
    }
    for _ in 0..rng.random_range(1..4) {
        let off = Vec2::new(rng.random_range(-0.2..0.2), rng.random_range(-0.2..0.2));
        flower(canvas, heart + off, rng.random_range(0.2..0.36), palette, rng);
    }
}

/// Curls in one quiet colour.
fn swirls(
    canvas: &mut Canvas,
    outline: &Outline,
    [first, second, _]: Palette,
    rng: &mut ChaCha8Rng,
) {
    for _ in 0..rng.random_range(3..6) {
        let direction = Vec2::from_angle(rng.random_range(0.0..TAU));
        let center = direction * outline.reach(direction) * rng.random_range(0.35..0.75);
        let (start, turns) = (rng.random_range(0.0..TAU), rng.random_range(1.2..2.2));
        let size = rng.random_range(0.15..0.42);
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        let points: Vec<Vec2> = (0..48)
            .map(|i| {
                let t = i as f32 / 47.0;
                center
                    + Vec2::from_angle(start + side * t * turns * TAU) * size * (0.12 + t * t * 1.4)
            })
            .take_while(|p| outline.rho(*p) < 0.99)
            .collect();
        let ink = if rng.random_bool(0.6) { first } else { second };
        canvas.stroke(curve(&points), rng.random_range(0.01..0.04), Ink(ink, 0.65));
    }
}

/// Rings of small tiles or dots.
fn mosaic(
    canvas: &mut Canvas,
    outline: &Outline,
    [first, second, dark]: Palette,
    rng: &mut ChaCha8Rng,
) {
    let inner = rng.random_range(0.1..0.8);
    let size = rng.random_range(0.02..0.045);
    let mut rho = 0.94;
    while rho > inner {
        let count = (TAU * rho / (2.6 * size)) as u32;
        for i in 0..count {
            let direction = Vec2::from_angle(TAU * i as f32 / count as f32 + rho * 7.0);
            let center = direction * outline.reach(direction) * rho;
            let ink = *[first, first, second, dark].choose(rng).unwrap_or(&first);
            canvas.fill(blob(center, size, 0.12, rng), Ink(ink, rng.random_range(0.6..0.95)));
        }
        rho -= 2.7 * size;
    }
    ring(canvas, outline, 0.98, 0.02, Ink(dark, 0.9));
}

/// Brush strokes that run from the rim towards the middle, as in reactive glazes.
fn glaze(
    canvas: &mut Canvas,
    outline: &Outline,
    [first, second, dark]: Palette,
    rng: &mut ChaCha8Rng,
) {
    let strokes = rng.random_range(50..110);
    let depth = rng.random_range(0.2..0.55);
    for i in 0..strokes {
        let direction =
            Vec2::from_angle(TAU * i as f32 / strokes as f32 + rng.random_range(-0.03..0.03));
        let reach = outline.reach(direction);
        let inner = reach * (0.97 - depth * rng.random_range(0.4..1.0));
        let ink = *[first, first, second].choose(rng).unwrap_or(&first);
        let line = curve(&[direction * reach * 0.97, direction * inner]);
        canvas.stroke(line, rng.random_range(0.015..0.055), Ink(ink, rng.random_range(0.5..0.9)));
    }
    ring(canvas, outline, 0.985, 0.03, Ink(dark, 0.9));
}

/// A few small sprigs around the rim.
fn sprigs(
    canvas: &mut Canvas,
    outline: &Outline,
    [first, leaf, dark]: Palette,
    rng: &mut ChaCha8Rng,
) {
    let count = rng.random_range(3..7);
    let turn = rng.random_range(0.0..TAU);
    for i in 0..count {
        let direction = Vec2::from_angle(turn + TAU * i as f32 / count as f32);
        let center = direction * outline.reach(direction) * 0.78;
        for k in 0..7 {
            let away = direction.perp().rotate(Vec2::from_angle(rng.random_range(-0.7..0.7)));
            let away = if k % 2 == 0 { away } else { -away };
            let root = center + away * rng.random_range(0.0..0.08);
            canvas.fill(
                petal(root, root + away * rng.random_range(0.06..0.17), 0.28),
                Ink(leaf, 0.85),
            );
        }
        for _ in 0..4 {
            let off = Vec2::new(rng.random_range(-0.08..0.08), rng.random_range(-0.08..0.08));
            canvas.fill(circle(center + off, rng.random_range(0.012..0.03)), Ink(first, 0.9));
        }
        canvas.stroke(
            curve(&[center - direction.perp() * 0.15, center, center + direction.perp() * 0.15]),
            0.006,
            Ink(dark, 0.6),
        );
    }
}

/// One motif in the middle.
fn medallion(canvas: &mut Canvas, outline: &Outline, palette: Palette, rng: &mut ChaCha8Rng) {
    let size = rng.random_range(0.25..0.45) * outline.axes.min_element();
    canvas.fill(circle(Vec2::ZERO, size * 1.1), Ink(palette[1], 0.35));
    flower(canvas, Vec2::ZERO, size, palette, rng);
    for i in 0..8 {
        let direction = Vec2::from_angle(TAU * i as f32 / 8.0);
        let root = direction * size * 1.1;
        canvas.fill(petal(root, root + direction * size * 0.4, 0.35), Ink(palette[0], 0.7));
    }
}
