//! Setting validation images aside.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Positions of the images to train on and to validate on, each in ascending order.
///
/// Stratified: of each class `share` is set aside, rounded, but at least one image and never the last
/// one. The same labels and stream give the same split, whatever else is configured.
pub fn split(labels: &[u32], share: f64, mut rng: ChaCha8Rng) -> (Vec<i64>, Vec<i64>) {
    let classes = labels.iter().max().map_or(0, |&last| last + 1);
    let (mut train, mut validation) = (Vec::new(), Vec::new());
    for class in 0..classes {
        let mut members: Vec<i64> = (0..)
            .zip(labels)
            .filter(|&(_, &label)| label == class)
            .map(|(image, _)| image)
            .collect();
        members.shuffle(&mut rng);
        let aside = (members.len() as f64 * share).round() as usize;
        let aside = aside.max(1).min(members.len().saturating_sub(1));
        validation.extend(members.drain(..aside));
        train.extend(members);
    }
    train.sort_unstable();
    validation.sort_unstable();
    (train, validation)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn each_class_gives_its_share() {
        for (sizes, share, aside) in [
            ([20, 20], 0.2, [4, 4]),
            ([10, 30], 0.25, [3, 8]),
            ([1, 3], 0.2, [0, 1]),
            ([2, 2], 0.9, [1, 1]),
        ] {
            let labels: Vec<u32> =
                (0..2).flat_map(|class| vec![class; sizes[class as usize]]).collect();
            let (_, validation) = split(&labels, share, stream(1, Purpose::Split));
            let of =
                |class| validation.iter().filter(|&&image| labels[image as usize] == class).count();
            assert_eq!([of(0), of(1)], aside, "{sizes:?} {share}");
        }
    }

    proptest! {
        #[test]
        fn every_image_is_in_one_part(
            labels in proptest::collection::vec(0u32..4, 1..80),
            share in 0.01f64..0.99,
            seed: u64,
        ) {
            let (train, validation) = split(&labels, share, stream(seed, Purpose::Split));
            let mut all = [train, validation].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len() as i64).collect::<Vec<_>>());
        }
    }
}
