//! Vector drawing on a square sheet, and the texture read back from it.

use glam::{Vec2, Vec3, Vec4};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tiny_skia::{Color, FillRule, LineCap, Paint, Path, PathBuilder, Pixmap, Stroke, Transform};

use crate::color::LINEAR;

/// A transparent sheet that spans -1..1 in both directions.
pub(crate) struct Canvas {
    pixels: Pixmap,
}

/// Colour (`0xRRGGBB`, sRGB) and opacity (0..1) of a stroke or a filling.
#[derive(Clone, Copy)]
pub(crate) struct Ink(pub(crate) u32, pub(crate) f32);

impl Canvas {
    /// A sheet of `size` x `size` pixels; `size` is a constant above zero in every caller.
    pub(crate) fn new(size: u32) -> Canvas {
        #[expect(clippy::expect_used, reason = "fails only for size 0 or beyond 2^15")]
        let pixels = Pixmap::new(size, size).expect("a sheet has a size");
        Canvas { pixels }
    }

    fn transform(&self) -> Transform {
        let half = self.pixels.width() as f32 / 2.0;
        Transform::from_row(half, 0.0, 0.0, half, half, half)
    }

    /// Fills a closed outline.
    pub(crate) fn fill(&mut self, outline: Option<Path>, ink: Ink) {
        if let Some(path) = outline {
            let t = self.transform();
            self.pixels.fill_path(&path, &paint(ink), FillRule::EvenOdd, t, None);
        }
    }

    /// Draws a line `width` wide with round ends.
    pub(crate) fn stroke(&mut self, line: Option<Path>, width: f32, ink: Ink) {
        if let Some(path) = line {
            let stroke = Stroke { width, line_cap: LineCap::Round, ..Stroke::default() };
            let t = self.transform();
            self.pixels.stroke_path(&path, &paint(ink), &stroke, t, None);
        }
    }

    /// Reads the sheet as linear light.
    pub(crate) fn into_texture(self) -> Texture {
        let size = self.pixels.width() as usize;
        let texels = self
            .pixels
            .pixels()
            .iter()
            .map(|pixel| {
                if pixel.alpha() == 0 {
                    return Vec4::ZERO;
                }
                let c = pixel.demultiply();
                let alpha = f32::from(c.alpha()) / 255.0;
                let linear = |byte: u8| LINEAR[byte as usize];
                let rgb = Vec3::new(linear(c.red()), linear(c.green()), linear(c.blue()));
                (rgb * alpha).extend(alpha)
            })
            .collect();
        Texture { size, texels }
    }
}

fn paint(Ink(hex, opacity): Ink) -> Paint<'static> {
    let byte = |shift: u32| (hex >> shift & 0xff) as f32 / 255.0;
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    if let Some(color) = Color::from_rgba(byte(16), byte(8), byte(0), opacity.clamp(0.0, 1.0)) {
        paint.set_color(color);
    }
    paint
}

/// Premultiplied linear colour over the square -1..1.
pub(crate) struct Texture {
    size: usize,
    texels: Vec<Vec4>,
}

impl Texture {
    /// The texture whose texels are `texel(column, row)`.
    pub(crate) fn from_fn(size: usize, texel: impl Fn(usize, usize) -> Vec4) -> Texture {
        let texels = (0..size * size).map(|i| texel(i % size, i / size)).collect();
        Texture { size, texels }
    }

    /// The texel at a column and row.
    pub(crate) fn texel(&self, x: usize, y: usize) -> Vec4 {
        self.texels[y * self.size + x]
    }

    /// The texel at a column and row, to change.
    pub(crate) fn texel_mut(&mut self, x: usize, y: usize) -> &mut Vec4 {
        &mut self.texels[y * self.size + x]
    }

    /// Texels along one side.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Bilinear sample; outside of the square the sheet repeats.
    pub(crate) fn sample(&self, p: Vec2) -> Vec4 {
        let at = (p * 0.5 + 0.5) * self.size as f32 - 0.5;
        let (cell, f) = crate::noise::lattice(at);
        // Divisions only where the sheet repeats: this runs several times per sample.
        let wrap = |i: i32| {
            let index = i as usize;
            if index < self.size { index } else { i.rem_euclid(self.size as i32) as usize }
        };
        let (x0, x1, y0, y1) = (wrap(cell.x), wrap(cell.x + 1), wrap(cell.y), wrap(cell.y + 1));
        let row =
            |y: usize| self.texels[y * self.size + x0].lerp(self.texels[y * self.size + x1], f.x);
        row(y0).lerp(row(y1), f.y)
    }
}

/// A circle.
pub(crate) fn circle(center: Vec2, radius: f32) -> Option<Path> {
    PathBuilder::from_circle(center.x, center.y, radius)
}

/// A closed smooth outline through points on the unit circle's directions: `radius(direction)`.
pub(crate) fn closed(
    center: Vec2,
    points: usize,
    mut radius: impl FnMut(Vec2) -> f32,
) -> Option<Path> {
    let ring: Vec<Vec2> = (0..points)
        .map(|i| {
            let direction = Vec2::from_angle(std::f32::consts::TAU * i as f32 / points as f32);
            center + direction * radius(direction)
        })
        .collect();
    let middle = |i: usize| ring[i % points].midpoint(ring[(i + 1) % points]);
    let mut path = PathBuilder::new();
    let start = middle(points - 1);
    path.move_to(start.x, start.y);
    for (i, corner) in ring.iter().enumerate() {
        let end = middle(i);
        path.quad_to(corner.x, corner.y, end.x, end.y);
    }
    path.close();
    path.finish()
}

/// An uneven round spot; `wobble` 0 is a circle, 0.5 very ragged.
pub(crate) fn blob(center: Vec2, radius: f32, wobble: f32, rng: &mut ChaCha8Rng) -> Option<Path> {
    let stretch = 1.0 + wobble * rng.random_range(0.0..0.8);
    let axis = Vec2::from_angle(rng.random_range(0.0..std::f32::consts::TAU));
    closed(center, 9, |direction| {
        let along = direction.dot(axis).abs();
        radius * (1.0 + (stretch - 1.0) * along) * (1.0 + wobble * rng.random_range(-1.0..0.8))
    })
}

/// A pointed leaf or petal from `root` along `tip`, `width` relative to its length.
pub(crate) fn petal(root: Vec2, tip: Vec2, width: f32) -> Option<Path> {
    let side = (tip - root).perp() * width;
    let (left, right) = (root.lerp(tip, 0.5) + side, root.lerp(tip, 0.5) - side);
    let mut path = PathBuilder::new();
    path.move_to(root.x, root.y);
    path.quad_to(left.x, left.y, tip.x, tip.y);
    path.quad_to(right.x, right.y, root.x, root.y);
    path.close();
    path.finish()
}

/// A smooth open line through points.
pub(crate) fn curve(points: &[Vec2]) -> Option<Path> {
    let (first, last) = (points.first()?, points.last()?);
    let mut path = PathBuilder::new();
    path.move_to(first.x, first.y);
    for pair in points.windows(2).skip(1) {
        let end = pair[0].midpoint(pair[1]);
        path.quad_to(pair[0].x, pair[0].y, end.x, end.y);
    }
    path.line_to(last.x, last.y);
    path.finish()
}
