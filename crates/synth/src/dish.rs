//! The form of plates and bowls: an outline seen from above and a height over it.
//!
//! Lengths are relative to the dish's radius. A dish is a height field whose rim is its highest
//! part, so a ray of sight enters it only through its mouth; seen from above that is exact.

use glam::Vec2;

use crate::noise::smoothstep;

/// The outline: `rho` is 0 in the centre and 1 on it.
#[derive(Clone)]
pub(crate) struct Outline {
    /// Half axes, the longer one 1.
    pub(crate) axes: Vec2,
    /// 0 is an ellipse, 1 a rectangle with rounded corners.
    pub(crate) square: f32,
    /// How far three rounded corners stand out: 0 for none.
    pub(crate) lobes: f32,
    /// Number and depth of the flutes of the rim.
    pub(crate) flutes: (u32, f32),
}

/// `cos(n * angle)` of a direction, without its angle: the real part of `direction^n`.
fn cos_multiple(direction: Vec2, n: u32) -> f32 {
    let (mut result, mut square, mut n) = (Vec2::X, direction, n);
    while n > 0 {
        if n & 1 == 1 {
            result = result.rotate(square);
        }
        square = square.rotate(square);
        n >>= 1;
    }
    result.x
}

impl Outline {
    /// 0 in the centre, 1 on the outline, growing linearly along each direction.
    pub(crate) fn rho(&self, p: Vec2) -> f32 {
        let q = p / self.axes;
        // Called many times per sample: the standard square root is one instruction (and exact
        // everywhere), glam's `length` a call into libm.
        let round = q.length_squared().sqrt();
        let mut rho = round;
        if self.square > 0.0 {
            let e = q * q;
            let e = e * e;
            let e = e * e;
            rho += self.square * ((e.x + e.y).sqrt().sqrt().sqrt() - round);
        }
        if (self.lobes > 0.0 || self.flutes.0 > 0) && round > 1e-4 {
            let direction = q / round;
            let mut reach = 1.0;
            if self.lobes > 0.0 {
                reach += self.lobes * (cos_multiple(direction, 3) - 1.0);
            }
            if self.flutes.0 > 0 {
                reach += self.flutes.1 * (self.flute(direction) - 1.0) * 0.5;
            }
            rho /= reach;
        }
        rho
    }

    fn flute(&self, direction: Vec2) -> f32 {
        cos_multiple(direction, self.flutes.0)
    }

    /// Distance from the centre to the outline along a direction.
    pub(crate) fn reach(&self, direction: Vec2) -> f32 {
        1.0 / self.rho(direction).max(1e-3)
    }
}

/// Heights from the centre (`rho` 0) to the rim (`rho` 1), in even steps.
#[derive(Clone)]
pub(crate) struct Profile(Vec<f32>);

impl Profile {
    const STEPS: usize = 192;

    /// A smooth curve through `(rho, height)` knots that overshoots none of them
    /// (cubic Hermite with harmonic-mean slopes, Fritsch and Butland 1984).
    pub(crate) fn through(knots: &[(f32, f32)]) -> Profile {
        let secant = |i: usize| (knots[i + 1].1 - knots[i].1) / (knots[i + 1].0 - knots[i].0);
        let slope = |i: usize| {
            if i == 0 || i == knots.len() - 1 {
                return 0.0;
            }
            let (before, after) = (secant(i - 1), secant(i));
            if before * after <= 0.0 { 0.0 } else { 2.0 * before * after / (before + after) }
        };
        let height = |rho: f32| {
            let i = knots.windows(2).position(|pair| rho <= pair[1].0).unwrap_or(knots.len() - 2);
            let width = knots[i + 1].0 - knots[i].0;
            let t = (rho - knots[i].0) / width;
            let (t2, t3) = (t * t, t * t * t);
            (2.0 * t3 - 3.0 * t2 + 1.0) * knots[i].1
                + (t3 - 2.0 * t2 + t) * width * slope(i)
                + (3.0 * t2 - 2.0 * t3) * knots[i + 1].1
                + (t3 - t2) * width * slope(i + 1)
        };
        Profile((0..=Self::STEPS).map(|i| height(i as f32 / Self::STEPS as f32)).collect())
    }

    fn at(&self, rho: f32) -> f32 {
        let x = rho.clamp(0.0, 0.999_99) * Self::STEPS as f32;
        let i = x as usize;
        self.0[i] + (x - i as f32) * (self.0[i + 1] - self.0[i])
    }
}

/// One compartment of a tray: a box with rounded corners.
#[derive(Clone)]
pub(crate) struct Pocket {
    pub(crate) center: Vec2,
    pub(crate) half: Vec2,
    pub(crate) corner: f32,
}

impl Pocket {
    /// 0 outside of it, 1 on its floor.
    fn depth(&self, p: Vec2) -> f32 {
        let q = (p - self.center).abs() - self.half + self.corner;
        let distance = q.max(Vec2::ZERO).length() + q.max_element().min(0.0) - self.corner;
        smoothstep(0.0, -0.13, distance)
    }
}

/// What lies within the outline.
#[derive(Clone)]
pub(crate) enum Hollow {
    /// One height per `rho`, as if turned on a wheel.
    Turned(Profile),
    /// A level sheet at the given height with pockets down to the table.
    Tray(f32, Vec<Pocket>),
}

/// The form of a dish.
#[derive(Clone)]
pub(crate) struct Form {
    pub(crate) outline: Outline,
    pub(crate) hollow: Hollow,
    /// Height of the rim above the table.
    pub(crate) rim: f32,
}

impl Form {
    pub(crate) fn new(outline: Outline, hollow: Hollow) -> Form {
        let rim = match &hollow {
            Hollow::Turned(profile) => profile.0.iter().copied().fold(0.0, f32::max),
            Hollow::Tray(height, _) => *height,
        };
        Form { outline, hollow, rim }
    }

    /// Height of the upper surface above the table.
    pub(crate) fn height(&self, p: Vec2) -> f32 {
        match &self.hollow {
            Hollow::Turned(profile) => {
                let rho = self.outline.rho(p);
                let mut height = profile.at(rho);
                if self.outline.flutes.0 > 0 && rho > 0.6 {
                    let ribs = self.outline.flute((p / self.outline.axes).normalize_or_zero());
                    height += 0.012 * ribs * smoothstep(0.6, 0.9, rho) * smoothstep(1.0, 0.97, rho);
                }
                height
            }
            Hollow::Tray(height, pockets) => {
                let depth = pockets.iter().map(|pocket| pocket.depth(p)).fold(0.0, f32::max);
                let lip = smoothstep(0.95, 1.0, self.outline.rho(p));
                height * (1.0 - 0.92 * depth - 0.12 * lip)
            }
        }
    }

    /// Where a ray meets the surface: `mouth` is where it crosses the plane of the rim, `drift`
    /// how far it moves sideways per unit of height it loses. Returns the place and its height.
    pub(crate) fn meet(&self, mouth: Vec2, drift: Vec2) -> (Vec2, f32) {
        let mut height = self.rim;
        let mut p = mouth;
        // A fixed point of height -> place -> height; converges because walls times drift stay
        // below 1, and the damping takes care of the steepest ones.
        for round in 0..7 {
            let step = self.height(p) - height;
            height += step * if round < 3 { 0.85 } else { 1.0 };
            p = mouth + drift * (self.rim - height);
            if step.abs() * drift.abs().max_element() < 5e-4 {
                break;
            }
        }
        // The last move was too small for the height to be another, but for the damping.
        let height = self.height(p);
        (p, height)
    }

    /// Slope of the surface, as height per length, at a place with the given height.
    pub(crate) fn slope(&self, p: Vec2, height: f32) -> Vec2 {
        const STEP: f32 = 0.007;
        let along = |step| (self.height(p + step) - height) / STEP;
        Vec2::new(along(Vec2::new(STEP, 0.0)), along(Vec2::new(0.0, STEP)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round() -> Outline {
        Outline { axes: Vec2::ONE, square: 0.0, lobes: 0.0, flutes: (0, 0.0) }
    }

    #[test]
    fn multiples_of_an_angle() {
        for (angle, n) in [(0.3, 3), (1.1, 7), (-2.0, 32)] {
            let expected = (angle * n as f32).cos();
            assert!((cos_multiple(Vec2::from_angle(angle), n) - expected).abs() < 1e-4);
        }
    }

    #[test]
    fn the_outline_is_where_rho_is_one() {
        let outlines = [
            round(),
            Outline { axes: Vec2::new(1.0, 0.6), square: 0.7, ..round() },
            Outline { lobes: 0.07, ..round() },
            Outline { flutes: (32, 0.05), ..round() },
        ];
        for outline in outlines {
            for i in 0..50 {
                let direction = Vec2::from_angle(i as f32 * 0.13);
                let edge = direction * outline.reach(direction);
                assert!((outline.rho(edge) - 1.0).abs() < 1e-4);
                assert!(edge.length() < 1.3);
            }
        }
    }

    #[test]
    fn profiles_pass_through_their_knots_without_overshoot() {
        let profile = Profile::through(&[(0.0, 0.02), (0.5, 0.02), (0.75, 0.3), (1.0, 0.3)]);
        for (rho, height) in [(0.0, 0.02), (0.5, 0.02), (0.75, 0.3), (0.9, 0.3)] {
            assert!((profile.at(rho) - height).abs() < 2e-3, "at {rho}: {}", profile.at(rho));
        }
        assert!(profile.0.iter().all(|h| (0.0199..=0.3001).contains(h)));
    }

    #[test]
    fn rays_meet_the_surface() {
        let knots = [(0.0, 0.02), (0.4, 0.02), (0.9, 0.5), (1.0, 0.55)];
        let bowl = Form::new(round(), Hollow::Turned(Profile::through(&knots)));
        for x in [-0.8_f32, -0.3, 0.0, 0.5, 0.7] {
            let (p, height) = bowl.meet(Vec2::new(x, 0.1), Vec2::new(0.2, 0.1));
            assert!((bowl.height(p) - height).abs() < 0.01, "from {x}");
        }
    }
}
