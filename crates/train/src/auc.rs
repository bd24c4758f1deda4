//! The area under the ROC curve.

/// The area under the ROC curve, from 0 to 1: the chance that an image of the second class scores
/// higher than one of the first, ties counting half. `images` are scores with whether the image is of
/// the second class. None without an image of each, or with a score that is no number.
///
/// Exact, by ranks (Hanley and McNeil 1982, <https://doi.org/10.1148/radiology.143.1.7063747>), where
/// `keras.metrics.AUC` adds up trapezes between 200 thresholds.
pub fn auc(mut images: Vec<(f32, bool)>) -> Option<f64> {
    if images.iter().any(|(score, _)| score.is_nan()) {
        return None;
    }
    images.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let positives = images.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = images.len() as f64 - positives;
    let (mut below, mut ranks) = (0, 0.0);
    for tied in images.chunk_by(|(one, _), (other, _)| one == other) {
        let rank = below as f64 + (tied.len() + 1) as f64 / 2.0;
        ranks += rank * tied.iter().filter(|(_, positive)| *positive).count() as f64;
        below += tied.len();
    }
    (positives > 0.0 && negatives > 0.0)
        .then(|| (ranks - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_is_all_that_counts() {
        for (images, expected) in [
            (vec![(0.1, false), (0.4, false), (0.35, true), (0.8, true)], Some(0.75)),
            (vec![(-3.0, false), (5.0, true)], Some(1.0)),
            (vec![(5.0, false), (-3.0, true)], Some(0.0)),
            (vec![(0.5, false), (0.5, true), (0.5, true)], Some(0.5)),
            (vec![(0.5, true)], None),
            (vec![(f32::NAN, false), (0.5, true)], None),
        ] {
            assert_eq!(auc(images.clone()), expected, "{images:?}");
        }
    }

    proptest! {
        #[test]
        fn ranks_count_pairs(images in proptest::collection::vec((0u8..6, any::<bool>()), 0..40)) {
            let images: Vec<_> = images.into_iter().map(|(s, p)| (f32::from(s), p)).collect();
            let of = |wanted| images.iter().filter(move |(_, p)| *p == wanted).map(|(s, _)| *s);
            let pairs = of(true).flat_map(|p| of(false).map(move |n| (p, n)));
            let wins: Vec<f64> = pairs
                .map(|(p, n)| if p > n { 1.0 } else if p < n { 0.0 } else { 0.5 })
                .collect();
            let expected = wins.iter().sum::<f64>() / wins.len() as f64;
            match auc(images.clone()) {
                None => prop_assert!(wins.is_empty()),
                Some(auc) => prop_assert!((auc - expected).abs() < 1e-12),
            }
        }
    }
}
