//! Setting validation images aside.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use spec::config::Validation;

use crate::random::{Purpose, Source, stream};

/// Which images of a folder are trained on and which are set aside: positions in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// To train on.
    pub training: Vec<i64>,
    /// Set aside for validation; empty where validation images come from elsewhere or there are none.
    pub validation: Vec<i64>,
}

/// Images that cannot be split as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitError {
    /// No class can do without an image.
    NothingToSpare,
    /// A class would be missing in a fold.
    TooManyFolds {
        /// Folds asked for.
        folds: u32,
        /// The class's number.
        class: u32,
        /// Images in it.
        images: usize,
    },
}

/// Splits images with these labels as `validation` says. The same labels and source give the same split,
/// whatever else is configured; folds under one seed share out the images among them.
///
/// Stratified: each class gives its share.
///
/// # Errors
/// When a class has too few images for that.
pub fn split(labels: &[u32], validation: &Validation, source: Source) -> Result<Split, SplitError> {
    let rng = || stream(source.seed, Purpose::Split);
    let aside = match (validation, source.fold) {
        (Validation::None | Validation::Folder(_), _) => vec![false; labels.len()],
        (Validation::Fraction(share), _) => share_aside(labels, *share, rng())?,
        (Validation::Folds(folds), fold) => {
            let folds = share_out(labels, *folds, rng())?;
            folds.iter().map(|of_image| Some(*of_image) == fold).collect()
        }
    };
    let (validation, training) = (0..labels.len() as i64).partition(|&image| aside[image as usize]);
    Ok(Split { training, validation })
}

/// Whether each image is set aside: of each class `share`, rounded, but at least one image and never the
/// last one.
fn share_aside(labels: &[u32], share: f64, mut rng: ChaCha8Rng) -> Result<Vec<bool>, SplitError> {
    let mut aside = vec![false; labels.len()];
    for members in shuffled_classes(labels, &mut rng) {
        let count = (members.len() as f64 * share).round() as usize;
        let count = count.max(1).min(members.len().saturating_sub(1));
        members[..count].iter().for_each(|&image| aside[image] = true);
    }
    if aside.contains(&true) { Ok(aside) } else { Err(SplitError::NothingToSpare) }
}

/// The fold of each image, from 1. The images of a class are dealt out one by one, where the class before
/// left off: folds differ by at most one image, of each class and in all.
fn share_out(labels: &[u32], folds: u32, mut rng: ChaCha8Rng) -> Result<Vec<u32>, SplitError> {
    let mut of_images = vec![0; labels.len()];
    let mut dealt = (1..=folds).cycle();
    for (members, class) in shuffled_classes(labels, &mut rng).into_iter().zip(0..) {
        if members.len() < folds as usize {
            return Err(SplitError::TooManyFolds { folds, class, images: members.len() });
        }
        for (image, fold) in members.into_iter().zip(&mut dealt) {
            of_images[image] = fold;
        }
    }
    Ok(of_images)
}

/// The positions of each class's images, in random order.
fn shuffled_classes(labels: &[u32], rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let classes = labels.iter().max().map_or(0, |&last| last as usize + 1);
    let mut members = vec![Vec::new(); classes];
    for (image, &label) in labels.iter().enumerate() {
        members[label as usize].push(image);
    }
    members.iter_mut().for_each(|members| members.shuffle(rng));
    members
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seeded(seed: u64, fold: Option<u32>) -> Source {
        Source { seed, fold }
    }

    fn labels(sizes: &[usize]) -> Vec<u32> {
        (0..).zip(sizes).flat_map(|(class, &size)| vec![class; size]).collect()
    }

    fn of_class(images: &[i64], labels: &[u32], class: u32) -> usize {
        images.iter().filter(|&&image| labels[image as usize] == class).count()
    }

    #[test]
    fn each_class_gives_its_share() {
        for (sizes, share, aside) in [
            ([20, 20], 0.2, [4, 4]),
            ([10, 30], 0.25, [3, 8]),
            ([1, 3], 0.2, [0, 1]),
            ([2, 2], 0.9, [1, 1]),
        ] {
            let labels = labels(&sizes);
            let split = split(&labels, &Validation::Fraction(share), seeded(1, None)).unwrap();
            let of = |class| of_class(&split.validation, &labels, class);
            assert_eq!([of(0), of(1)], aside, "{sizes:?} {share}");
        }
    }

    #[test]
    fn what_cannot_be_split_is_said() {
        let of = |sizes: &[usize], validation| split(&labels(sizes), &validation, seeded(1, None));
        assert_eq!(of(&[1, 1], Validation::Fraction(0.5)), Err(SplitError::NothingToSpare));
        let error = of(&[9, 3, 2], Validation::Folds(4)).unwrap_err();
        assert_eq!(error, SplitError::TooManyFolds { folds: 4, class: 1, images: 3 });
        assert!(of(&[4, 4], Validation::Folds(4)).is_ok());
        for whole in [Validation::None, Validation::Folder("elsewhere".into())] {
            let split = of(&[1, 2], whole).unwrap();
            assert_eq!(split, Split { training: vec![0, 1, 2], validation: Vec::new() });
        }
    }

    proptest! {
        #[test]
        fn every_image_is_in_one_part(
            labels in proptest::collection::vec(0u32..4, 1..80),
            share in 0.01f64..0.99,
            seed: u64,
        ) {
            if let Ok(split) = split(&labels, &Validation::Fraction(share), seeded(seed, None)) {
                let mut all = [split.training, split.validation].concat();
                all.sort_unstable();
                prop_assert_eq!(all, (0..labels.len() as i64).collect::<Vec<_>>());
            }
        }

        #[test]
        fn folds_set_every_image_aside_once_and_classes_evenly(
            sizes in proptest::collection::vec(5usize..30, 2..5),
            folds in 2u32..=5,
            seed: u64,
        ) {
            let labels = labels(&sizes);
            let splits: Vec<_> = (1..=folds)
                .map(|fold| split(&labels, &Validation::Folds(folds), seeded(seed, Some(fold))).unwrap())
                .collect();
            let mut aside: Vec<i64> = splits.iter().flat_map(|split| split.validation.clone()).collect();
            aside.sort_unstable();
            let all: Vec<i64> = (0..labels.len() as i64).collect();
            prop_assert_eq!(&aside, &all);
            for split in &splits {
                let mut whole = [split.training.clone(), split.validation.clone()].concat();
                whole.sort_unstable();
                prop_assert_eq!(&whole, &all);
            }
            let evenly = |sizes: Vec<usize>| sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1;
            prop_assert!(evenly(splits.iter().map(|split| split.validation.len()).collect()));
            for class in 0..sizes.len() as u32 {
                let of = |split: &Split| of_class(&split.validation, &labels, class);
                prop_assert!(evenly(splits.iter().map(of).collect()));
            }
        }
    }
}
