//! Holm's correction: of many comparisons one will look good by chance.

/// P-values adjusted for `family` comparisons (Holm, Scandinavian Journal of Statistics 6, 1979), in the
/// order given. The chance of a single false claim among all is then at most alpha, however the
/// comparisons depend on each other. A family larger than the number of p-values counts comparisons
/// that have no results yet.
pub fn adjust(p_values: &[f64], family: usize) -> Vec<f64> {
    let family = family.max(p_values.len());
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|left, right| p_values[*left].total_cmp(&p_values[*right]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut so_far: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        so_far = so_far.max((p_values[at] * (family - rank) as f64).min(1.0));
        adjusted[at] = so_far;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comparisons_to_come_count() {
        assert_eq!(adjust(&[0.01, 0.04], 2), [0.02, 0.04]);
        assert_eq!(adjust(&[0.01, 0.04], 5), [0.05, 0.16]);
        assert_eq!(adjust(&[], 3), Vec::<f64>::new());
    }

    proptest! {
        #[test]
        fn the_order_of_p_values_stays(p_values in prop::collection::vec(0.0..1.0f64, 1..9)) {
            let adjusted = adjust(&p_values, 0);
            for (left, right) in adjusted.iter().zip(&p_values) {
                prop_assert!(left >= right && *left <= 1.0);
            }
            for i in 0..p_values.len() {
                for j in 0..p_values.len() {
                    prop_assert!(p_values[i] > p_values[j] || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
