//! Which change: parameters drawn as Keras's `ImageDataGenerator.get_random_transform` draws them, but
//! for its exchange of width and height.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use spec::config::{Augment, Shift};

use super::transform::Transform;

/// Draws a change for an image with sides of `side` pixels.
///
/// Every setting has its own draws, in one order, whether it is on or not: what one setting gives does
/// not hang on the others, so that levels of one setting compare like with like.
pub(super) fn draw(augment: &Augment, side: u32, rng: &mut ChaCha8Rng) -> Transform {
    let mut between = |[low, high]: [f64; 2]| low + (high - low) * rng.random::<f64>();
    let mut either_way = |range: f64| between([-range, range]);
    let theta = either_way(augment.rotation_range);
    let shear = either_way(augment.shear_range);
    let intensity = either_way(augment.channel_shift_range);
    // Keras draws `tx` by the height's range and then moves images along their width with it.
    let mut unit = || between([0.0, 1.0]);
    let tx = shift(augment.width_shift_range, side, [unit(), unit()]);
    let ty = shift(augment.height_shift_range, side, [unit(), unit()]);
    let (left_right, top_bottom) = (unit() < 0.5, unit() < 0.5);
    let zoom = augment.zoom_range.bounds();
    let (zx, zy) = (between(zoom), between(zoom));
    let brightness = between(augment.brightness_range.unwrap_or([1.0; 2]));
    Transform {
        theta,
        tx,
        ty,
        shear,
        zx,
        zy,
        flip_horizontal: augment.horizontal_flip && left_right,
        flip_vertical: augment.vertical_flip && top_bottom,
        channel_shift_intensity: (augment.channel_shift_range > 0.0).then_some(intensity),
        brightness: augment.brightness_range.map(|_| brightness),
    }
}

/// Pixels to shift by, given two draws from 0 to 1.
fn shift(range: Shift, side: u32, [how_far, which_way]: [f64; 2]) -> f64 {
    match range {
        // Keras's `numpy.random.choice(n)`, with either sign.
        Shift::Pixels(pixels) => {
            let far = (how_far * f64::from(pixels)).floor();
            if which_way < 0.5 { -far } else { far }
        }
        Shift::UpTo(_) => (2.0 * how_far - 1.0) * range.limit(side),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    fn draws(augment: serde_json::Value) -> Vec<Transform> {
        let augment: Augment = serde_json::from_value(augment).unwrap();
        let mut rng = stream(1, Purpose::Augment);
        (0..2000).map(|_| draw(&augment, 100, &mut rng)).collect()
    }

    /// Asserts that values lie between two ends and reach both, to a fiftieth of what lies between.
    fn fills(values: impl Iterator<Item = f64>, [low, high]: [f64; 2]) {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (values[0], values[values.len() - 1]);
        let near = (high - low) / 50.0;
        assert!((low..=low + near).contains(&least), "{least} for {low}");
        assert!((high - near..=high).contains(&most), "{most} for {high}");
    }

    #[test]
    fn nothing_set_changes_nothing() {
        assert!(draws(serde_json::json!({})).iter().all(|drawn| *drawn == Transform::default()));
    }

    #[test]
    fn draws_fill_their_ranges() {
        let all = draws(serde_json::json!({
            "rotation_range": 20, "shear_range": 5, "channel_shift_range": 8,
            "width_shift_range": 0.1, "height_shift_range": 3, "zoom_range": 0.3,
            "brightness_range": [0.5, 2.0], "horizontal_flip": true,
        }));
        let check = |value: fn(&Transform) -> f64, ends| fills(all.iter().map(value), ends);
        check(|drawn| drawn.theta, [-20.0, 20.0]);
        check(|drawn| drawn.shear, [-5.0, 5.0]);
        check(|drawn| drawn.channel_shift_intensity.unwrap(), [-8.0, 8.0]);
        // A tenth of 100 pixels; and fewer than 3 whole ones.
        check(|drawn| drawn.tx, [-10.0, 10.0]);
        check(|drawn| drawn.ty, [-2.0, 2.0]);
        assert!(all.iter().all(|drawn| drawn.ty.fract() == 0.0));
        check(|drawn| drawn.zx, [0.7, 1.3]);
        check(|drawn| drawn.zy, [0.7, 1.3]);
        check(|drawn| drawn.brightness.unwrap(), [0.5, 2.0]);
        assert!(all.iter().any(|drawn| (drawn.zx - drawn.zy).abs() > 0.3), "drawn apart");
        let flipped = all.iter().filter(|drawn| drawn.flip_horizontal).count();
        assert!((900..1100).contains(&flipped), "{flipped}");
        assert!(all.iter().all(|drawn| !drawn.flip_vertical));
    }

    #[test]
    fn a_range_of_one_or_more_is_in_pixels() {
        let all = draws(serde_json::json!({ "width_shift_range": 2.5, "zoom_range": [0.5, 0.9] }));
        fills(all.iter().map(|drawn| drawn.tx), [-2.5, 2.5]);
        fills(all.iter().map(|drawn| drawn.zy), [0.5, 0.9]);
    }

    #[test]
    fn settings_do_not_disturb_each_other() {
        let few = draws(serde_json::json!({ "zoom_range": 0.2 }));
        let more = draws(
            serde_json::json!({ "zoom_range": 0.2, "height_shift_range": 3, "rotation_range": 20 }),
        );
        assert!(few.iter().zip(&more).all(|(few, more)| few.zx == more.zx));
        assert!(more.iter().any(|drawn| drawn.theta != 0.0));
    }
}
