//! "Did you mean".

/// The candidate that `written` most probably stands for, if any is near.
pub fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = plain(written);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(&written, candidate)?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between the two, when they are few for the length; an abbreviation (`lr`) counts as one.
fn distance(written: &str, candidate: &str) -> Option<usize> {
    let initials: String = candidate.split('_').filter_map(|word| word.chars().next()).collect();
    if written.len() > 1 && written == initials {
        return Some(1);
    }
    let edits = strsim::damerau_levenshtein(written, &plain(candidate));
    let tolerated = candidate.len().max(3) / 3;
    (edits <= tolerated).then_some(edits)
}

/// `Learning-Rate`, `learningRate` and `learning rate` are one name.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["batch_size", "learning_rate", "epochs", "patience", "gap", "gmp"];
        let cases = [
            ("learning_rte", Some("learning_rate")),
            ("learningRate", Some("learning_rate")),
            ("LEARNING-RATE", Some("learning_rate")),
            ("lr", Some("learning_rate")),
            ("epoch", Some("epochs")),
            ("patients", Some("patience")),
            ("gpa", Some("gap")),
            ("momentum", None),
            ("x", None),
            ("", None),
        ];
        for (written, expected) in cases {
            assert_eq!(nearest(written, names), expected, "{written}");
        }
    }
}
