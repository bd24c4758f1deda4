//! One change of one image, given its parameters: the geometry of Keras's
//! `ImageDataGenerator.apply_transform`, with SciPy's linear interpolation.
//! <https://github.com/keras-team/keras/blob/v3.15.1/keras/src/legacy/preprocessing/image.py>

use spec::config::FillMode;

/// What is done to an image, in Keras's words.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Transform {
    /// Degrees that the image turns by, counter-clockwise.
    pub theta: f64,
    /// Pixels that it moves by to the left.
    pub tx: f64,
    /// Pixels that it moves by upwards.
    pub ty: f64,
    /// Degrees that it is sheared by.
    pub shear: f64,
    /// The share of its width that is seen.
    pub zx: f64,
    /// The share of its height that is seen.
    pub zy: f64,
    /// Whether left and right are exchanged.
    pub flip_horizontal: bool,
    /// Whether top and bottom are exchanged.
    pub flip_vertical: bool,
    /// What is added to every value, as far as values of the image reach.
    pub channel_shift_intensity: Option<f64>,
    /// What every value is multiplied with.
    pub brightness: Option<f64>,
}

impl Default for Transform {
    /// The one that changes nothing.
    fn default() -> Self {
        Self {
            theta: 0.0,
            tx: 0.0,
            ty: 0.0,
            shear: 0.0,
            zx: 1.0,
            zy: 1.0,
            flip_horizontal: false,
            flip_vertical: false,
            channel_shift_intensity: None,
            brightness: None,
        }
    }
}

/// What stands where the changed image has no pixels of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// How it is found.
    pub mode: FillMode,
    /// The value of [`FillMode::Constant`].
    pub value: f64,
}

/// `[x, y]` of the source for `[x, y, 1]` of the target.
type Affine = [[f64; 3]; 2];

impl Transform {
    /// Changes `pixels`, rows of red, green and blue of an image of `height` and `width`, from 0 to 255;
    /// `changed` is as long.
    pub fn apply(
        &self,
        pixels: &[u8],
        (height, width): (usize, usize),
        fill: Fill,
        changed: &mut [f32],
    ) {
        match self.affine(height, width) {
            Some(affine) => resample(pixels, (height, width), &affine, fill, changed),
            None => {
                for (changed, &pixel) in changed.iter_mut().zip(pixels) {
                    *changed = pixel.into();
                }
            }
        }
        if let Some(intensity) = self.channel_shift_intensity {
            shift_channels(changed, intensity as f32);
        }
        if self.flip_horizontal {
            for row in changed.chunks_exact_mut(3 * width) {
                flip(row, 3);
            }
        }
        if self.flip_vertical {
            flip(changed, 3 * width);
        }
        if let Some(brightness) = self.brightness {
            // Pillow does it, on whole numbers, and drops what is behind the point.
            for value in changed {
                *value = (value.trunc() * brightness as f32).clamp(0.0, 255.0).trunc();
            }
        }
    }

    /// Rotation, shift, shear and zoom as one matrix; none when they change nothing.
    fn affine(&self, height: usize, width: usize) -> Option<Affine> {
        let turned = self.theta != 0.0;
        let shifted = self.tx != 0.0 || self.ty != 0.0;
        let sheared = self.shear != 0.0;
        let zoomed = self.zx != 1.0 || self.zy != 1.0;
        if !(turned || shifted || sheared || zoomed) {
            return None;
        }
        let (sin, cos) = self.theta.to_radians().sin_cos();
        let (shear_sin, shear_cos) = self.shear.to_radians().sin_cos();
        // Rotation x shift, which leaves the left part a rotation.
        let offset = [cos * self.tx - sin * self.ty, sin * self.tx + cos * self.ty];
        // x shear.
        let sheared =
            [[cos, -cos * shear_sin - sin * shear_cos], [sin, -sin * shear_sin + cos * shear_cos]];
        // x zoom.
        let matrix = sheared.map(|[x, y]| [x * self.zx, y * self.zy]);
        // Keras takes the height for x and the width for y: the centre is that of a square.
        let centre = [height as f64 / 2.0 - 0.5, width as f64 / 2.0 - 0.5];
        Some([0, 1].map(|axis| {
            let [x, y] = matrix[axis];
            [x, y, offset[axis] + centre[axis] - x * centre[0] - y * centre[1]]
        }))
    }
}

fn resample(
    pixels: &[u8],
    (height, width): (usize, usize),
    affine: &Affine,
    fill: Fill,
    changed: &mut [f32],
) {
    for (y, line) in changed.chunks_exact_mut(3 * width).enumerate() {
        for (x, pixel) in line.chunks_exact_mut(3).enumerate() {
            let source = affine.map(|[by_x, by_y, by]| by_x * x as f64 + by_y * y as f64 + by);
            let column = Between::at(source[0], width, fill.mode);
            let row = Between::at(source[1], height, fill.mode);
            let (Some(row), Some(column)) = (row, column) else {
                pixel.fill(fill.value as f32);
                continue;
            };
            let corner = |row: usize, column: usize| 3 * (row * width + column);
            let corners = [
                (corner(row.low, column.low), (1.0 - row.share) * (1.0 - column.share)),
                (corner(row.low, column.high), (1.0 - row.share) * column.share),
                (corner(row.high, column.low), row.share * (1.0 - column.share)),
                (corner(row.high, column.high), row.share * column.share),
            ];
            for (channel, value) in pixel.iter_mut().enumerate() {
                let sum: f64 = corners
                    .iter()
                    .map(|&(at, weight)| f64::from(pixels[at + channel]) * weight)
                    .sum();
                *value = sum as f32;
            }
        }
    }
}

/// A place between two pixels of a row or column.
struct Between {
    low: usize,
    high: usize,
    /// That of `high`.
    share: f64,
}

impl Between {
    /// The place `at`, of `length` pixels, as SciPy has it; none where a constant is filled in.
    /// <https://github.com/scipy/scipy/blob/v1.17.1/scipy/ndimage/src/ni_interpolation.c>
    fn at(at: f64, length: usize, mode: FillMode) -> Option<Self> {
        let last = (length - 1) as f64;
        let inside = (0.0..=last).contains(&at);
        let at = match mode {
            _ if inside => at,
            FillMode::Constant => return None,
            FillMode::Nearest => at.clamp(0.0, last),
            FillMode::Reflect => {
                let period = 2.0 * length as f64;
                let at = at.rem_euclid(period);
                if at > length as f64 - 0.5 { period - 1.0 - at } else { at }
            }
            FillMode::Wrap if length == 1 => 0.0,
            FillMode::Wrap => at.rem_euclid(last),
        };
        let low = at.floor();
        // Half a pixel beyond an edge the edge is its own neighbour.
        let pixel = |at: f64| at.clamp(0.0, last) as usize;
        Some(Self { low: pixel(low), high: pixel(low + 1.0), share: at - low })
    }
}

/// Adds `intensity`, kept between the least and the largest value there are.
fn shift_channels(values: &mut [f32], intensity: f32) {
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for value in values {
        *value = (*value + intensity).max(least).min(most);
    }
}

/// Turns the order of pieces of `size` values around.
fn flip(values: &mut [f32], size: usize) {
    let pieces = values.len() / size;
    for piece in 0..pieces / 2 {
        let (front, back) = values.split_at_mut((pieces - 1 - piece) * size);
        front[piece * size..][..size].swap_with_slice(&mut back[..size]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Recorded {
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        transform: Transform,
        fill_mode: FillMode,
        cval: f64,
        pixels: Vec<f32>,
    }

    /// Recorded by `scripts/parity/keras_augment.py`.
    #[test]
    fn images_change_as_in_keras() {
        let (height, width) = (9, 12);
        let pixels: Vec<u8> = (0..height * width * 3)
            .map(|at| (at / (width * 3), at / 3 % width, at % 3))
            .map(|(y, x, c)| ((7 * x + 13 * y + 29 * c + 3 * x * y) % 256) as u8)
            .collect();
        let recorded: Recorded =
            serde_json::from_str(include_str!("../../tests/parity/keras_augment.json")).unwrap();
        assert_eq!(recorded.cases.len(), 42);
        let mut wrong = Vec::new();
        for Case { transform, fill_mode, cval, pixels: expected } in recorded.cases {
            let fill = Fill { mode: fill_mode, value: cval };
            let mut changed = vec![0.0; pixels.len()];
            transform.apply(&pixels, (height, width), fill, &mut changed);
            let apart = changed.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            let most = apart.fold(0.0, f32::max);
            if most > 2e-3 {
                wrong.push(format!("{transform:?}, {fill_mode:?}: {most} apart"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn what_is_filled_in_is_of_the_image() {
        // Far outside, where rounding could leave it.
        let transform = Transform { theta: 33.0, tx: 900.7, zx: 40.0, ..Transform::default() };
        let pixels: Vec<u8> = (0..5 * 5 * 3).map(|at| 20 + at as u8).collect();
        for mode in [FillMode::Nearest, FillMode::Reflect, FillMode::Wrap, FillMode::Constant] {
            let mut changed = vec![0.0; pixels.len()];
            transform.apply(&pixels, (5, 5), Fill { mode, value: 30.0 }, &mut changed);
            assert!(
                changed.iter().all(|value| (20.0..=94.0).contains(value)),
                "{mode:?} {changed:?}"
            );
        }
    }
}
