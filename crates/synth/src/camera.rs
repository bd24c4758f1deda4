//! A phone held above the table, and what its lens, sensor and software do to the light.

use glam::{Mat3, Vec2, Vec3};
use image::RgbImage;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::color::{encode, luminance};

/// A line of sight from the eye down to the table.
#[derive(Clone, Copy)]
pub(crate) struct Ray {
    pub(crate) eye: Vec3,
    /// Normalised; `z` is below zero.
    pub(crate) direction: Vec3,
}

impl Ray {
    /// Where it crosses a height above the table.
    pub(crate) fn at_height(&self, height: f32) -> Vec2 {
        let t = (height - self.eye.z) / self.direction.z;
        (self.eye + self.direction * t).truncate()
    }

    /// How far it moves sideways per unit of height it loses.
    pub(crate) fn drift(&self) -> Vec2 {
        self.direction.truncate() / -self.direction.z
    }
}

/// Where the camera is. The table's units: half the photograph's height is about 1.
pub(crate) struct Camera {
    eye: Vec3,
    /// Columns: right, down and ahead.
    axes: Mat3,
    zoom: f32,
}

impl Camera {
    /// Above the table, off the vertical by at most `tilt` (a tangent).
    pub(crate) fn sample(tilt: f32, rng: &mut ChaCha8Rng) -> Camera {
        let distance = rng.random_range(2.8..4.2);
        // People stand before the table and look ahead: mostly tilted along y.
        let lean = Vec2::new(rng.random_range(-0.35..0.35), rng.random_range(-0.3..1.0)) * tilt;
        let ahead = Vec3::new(-lean.x, -lean.y, -1.0).normalize();
        let roll = Vec2::from_angle(rng.random_range(-0.12..0.12));
        let right = roll.extend(0.0).reject_from_normalized(ahead).normalize();
        let axes = Mat3::from_cols(right, right.cross(ahead), ahead);
        Camera { eye: -ahead * distance, axes, zoom: distance }
    }

    /// Towards the camera, seen from the table.
    pub(crate) fn direction(&self) -> Vec3 {
        self.eye.normalize()
    }

    /// The line of sight through a point of the picture (centre 0, half height 1, y down).
    pub(crate) fn ray(&self, at: Vec2) -> Ray {
        let direction = (self.axes * at.extend(self.zoom)).normalize();
        Ray { eye: self.eye, direction }
    }
}

/// What happens between the light and the file.
pub(crate) struct Film {
    /// Standard deviation of the blur, in pixels of the photograph.
    blur: f32,
    vignette: f32,
    balance: Vec3,
    /// Mean brightness that the automatic exposure aims at, linear.
    aim: f32,
    /// Standard deviation of the noise in mid grey, in sRGB steps of 255.
    noise: f32,
    contrast: f32,
    /// JPEG quality, 1 to 100.
    pub(crate) quality: u8,
}

impl Film {
    pub(crate) fn sample(rng: &mut ChaCha8Rng) -> Film {
        let warmth = rng.random_range(-0.07..0.07);
        let green = rng.random_range(-0.02..0.02);
        Film {
            blur: rng.random_range(0.45..0.8),
            vignette: rng.random_range(0.04..0.2),
            balance: Vec3::new(1.0 + warmth, 1.0 + green, 1.0 - warmth),
            aim: rng.random_range(0.2..0.36),
            noise: rng.random_range(0.7..2.0),
            contrast: rng.random_range(0.2..0.65),
            quality: rng.random_range(85..=92),
        }
    }

    /// Samples per pixel and direction that the scene is rendered with.
    const OVERSAMPLING: f32 = 1.2;

    /// Takes the photograph of `radiance`, asked for points of the picture (half height 1).
    pub(crate) fn expose(
        &self,
        size: (u32, u32),
        rng: &mut ChaCha8Rng,
        radiance: impl Fn(Vec2) -> Vec3,
    ) -> RgbImage {
        let (width, height) = (size.0 as usize, size.1 as usize);
        let fine = |n: usize| (n as f32 * Self::OVERSAMPLING) as usize + 1;
        let (columns, rows) = (fine(width), fine(height));
        let unit = 2.0 / (height as f32 * Self::OVERSAMPLING);
        let center = Vec2::new(columns as f32, rows as f32) / 2.0;
        let mut light = Vec::with_capacity(columns * rows);
        for y in 0..rows {
            for x in 0..columns {
                light.push(radiance((Vec2::new(x as f32, y as f32) + 0.5 - center) * unit));
            }
        }

        let sigma = self.blur * Self::OVERSAMPLING;
        let (across, down) = (Blur::new(sigma, width, columns), Blur::new(sigma, height, rows));
        let narrow: Vec<Vec3> = (0..rows * width)
            .map(|i| across.gather(i % width, &light, i / width * columns, 1))
            .collect();
        let pixels: Vec<Vec3> = (0..height * width)
            .map(|i| down.gather(i / width, &narrow, i % width, width))
            .collect();

        let mean = pixels.iter().map(|p| luminance(*p).min(1.2)).sum::<f32>() / pixels.len() as f32;
        // Cameras meet the aim only halfway: dark scenes stay darker than bright ones.
        let gain = (self.aim / mean.max(1e-3)).sqrt().clamp(0.4, 2.5) * 1.05;
        let mut image = RgbImage::new(size.0, size.1);
        let mut grain = Grain::new(rng);
        for (i, (pixel, light)) in image.pixels_mut().zip(&pixels).enumerate() {
            let at = Vec2::new((i % width) as f32, (i / width) as f32)
                / Vec2::new(width as f32, height as f32)
                - 0.5;
            let edge = 1.0 - self.vignette * 4.0 * at.length_squared();
            let exposed = *light * self.balance * (gain * edge);
            let (luma, chroma) = (grain.next() * self.noise, [grain.next(), grain.next()]);
            let color_noise = 0.45 * self.noise;
            let shift = [chroma[0] * color_noise, 0.0, chroma[1] * color_noise];
            for channel in 0..3 {
                let value = self.develop(exposed[channel]) + luma + shift[channel];
                pixel.0[channel] = (value + 0.5).clamp(0.0, 255.0) as u8;
            }
        }
        image
    }

    /// Linear light to sRGB steps: a shoulder that keeps highlights, then some contrast.
    fn develop(&self, light: f32) -> f32 {
        let shoulder = 1.18 * light * (1.0 + 0.3 * light) / (1.0 + 0.62 * light);
        let x = encode(shoulder) / 255.0;
        let curved = x * x * (3.0 - 2.0 * x);
        255.0 * (x + self.contrast * (curved - x))
    }
}

/// Samples fine light with a Gaussian: the lens and the pixel's area in one.
struct Blur {
    /// For each pixel the first fine sample it sees, and the weights of that and the next ones.
    taps: Vec<(usize, Vec<f32>)>,
}

impl Blur {
    /// For a row of `pixels` over `fine` samples; `sigma` in fine samples.
    fn new(sigma: f32, pixels: usize, fine: usize) -> Blur {
        let reach = (2.4 * sigma).ceil();
        let taps = (0..pixels).map(|pixel| {
            let center = (pixel as f32 + 0.5) * Film::OVERSAMPLING - 0.5;
            let first = (center - reach).max(0.0) as usize;
            let last = ((center + reach) as usize + 1).min(fine - 1);
            let bells = (first..=last).map(|i| {
                let x = (i as f32 - center) / sigma;
                // (1 - x²/8)⁴ stands for exp(-x²/2): the same bell without a library call.
                let bell = (1.0 - x * x / 8.0).max(0.0);
                bell * bell * bell * bell
            });
            let total: f32 = bells.clone().sum();
            (first, bells.map(|bell| bell / total).collect())
        });
        Blur { taps: taps.collect() }
    }

    /// What a pixel sees of the fine samples `light[start + i * stride]`.
    fn gather(&self, pixel: usize, light: &[Vec3], start: usize, stride: usize) -> Vec3 {
        let (first, weights) = &self.taps[pixel];
        let seen = light[start + first * stride..].iter().step_by(stride);
        weights.iter().zip(seen).map(|(weight, light)| *weight * *light).sum()
    }
}

/// Sensor noise: close to normal, slightly clumped as after a phone's denoising.
struct Grain {
    state: u64,
    last: f32,
}

impl Grain {
    fn new(rng: &mut ChaCha8Rng) -> Grain {
        Grain { state: rng.random::<u64>() | 1, last: 0.0 }
    }

    fn next(&mut self) -> f32 {
        // xorshift64; four 16-bit numbers added up are normal enough (Irwin-Hall), deviation 0.58.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let s = self.state;
        let sum = (s & 0xffff) + (s >> 16 & 0xffff) + (s >> 32 & 0xffff) + (s >> 48);
        let normal = (sum as f32 / 65_536.0 - 2.0) * 1.73;
        self.last = 0.35 * self.last + normal * 0.9;
        self.last
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn rays_look_down_and_the_middle_one_hits_the_middle() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..20 {
            let camera = Camera::sample(0.5, &mut rng);
            assert!(camera.ray(Vec2::ZERO).at_height(0.0).length() < 1e-4);
            let corner = camera.ray(Vec2::new(1.33, 1.0));
            assert!(corner.direction.z < 0.0);
            assert!(corner.at_height(0.0).x > 0.5 && corner.at_height(0.0).y > 0.5);
        }
    }

    #[test]
    fn an_even_scene_keeps_its_order_of_brightness() {
        let film =
            Film { vignette: 0.0, noise: 0.0, ..Film::sample(&mut ChaCha8Rng::seed_from_u64(1)) };
        let take = |f: fn(Vec2) -> Vec3| {
            film.expose((24, 16), &mut ChaCha8Rng::seed_from_u64(2), f)
                .pixels()
                .map(|p| p.0[1])
                .collect::<Vec<_>>()
        };
        let ramp = take(|at| Vec3::splat(0.3 + 0.2 * at.x));
        assert!(ramp[..24].windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(take(|_| Vec3::splat(0.1))[0] < take(|_| Vec3::splat(0.8))[0]);
    }
}
