//! What holds of every sweep: how many configurations it has, and when work is the same work.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use spec::config::Config;
use spec::run_id::{Fingerprints, RunId};
use spec::sweep::{Row, Sweep};
use spec::sweep_file::{LoadError, Override, load};

/// Keys with the values that these tests give them, as TOML. The first is the baseline's.
const VALUES: [(&str, &str, &[&str]); 12] = [
    ("data", "validation", &["0.2", "0.5"]),
    ("data", "image_size", &["224", "64", "96"]),
    ("model", "backbone", &["\"efficientnet_lite0\"", "\"resnet50\""]),
    ("model", "weights", &["\"imagenet\"", "\"none\""]),
    (
        "model",
        "freeze",
        &["\"all\"", "\"none\"", "{ unfreeze_last = 10 }", "{ unfreeze_last = 2 }"],
    ),
    ("model", "pooling", &["\"gap\"", "\"gmp\"", "\"flatten\""]),
    ("train", "batch_size", &["32", "16", "64", "0x80"]),
    ("train", "learning_rate", &["1e-4", "0.005", "1", "2.5"]),
    ("train", "epochs", &["50", "100", "1_000"]),
    ("train", "steps_per_epoch", &["100", "7", "false"]),
    ("early_stopping", "patience", &["10", "5", "15", "0"]),
    ("early_stopping", "restore_best_weights", &["true", "false"]),
];

/// Loads `sweep.toml` in a folder of these files.
fn loaded(files: &[(&str, &[u8])], overrides: &[Override]) -> Result<Sweep, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs_err::write(folder.path().join(name), text).unwrap();
    }
    load(&folder.path().join("sweep.toml"), overrides)
}

/// One value of each key, by its index.
fn choices() -> impl Strategy<Value = Vec<usize>> {
    VALUES.iter().map(|(_, _, values)| 0..values.len()).collect::<Vec<_>>()
}

/// A file with these values under their sections.
fn sectioned(chosen: &[usize]) -> String {
    let mut text = "[data]\ntrain = \"train\"\ntest = \"test\"\n".to_owned();
    let mut current = "data";
    for ((section, key, values), choice) in VALUES.iter().zip(chosen) {
        if *section != current {
            text += &format!("[{section}]\n");
            current = section;
        }
        text += &format!("{key} = {}\n", values[*choice]);
    }
    text
}

fn fingerprints() -> Fingerprints {
    Fingerprints {
        train: Some("a".repeat(64)),
        validation: None,
        test: Some("b".repeat(64)),
        weights: Some("c".repeat(64)),
        trainer: None,
    }
}

fn id(config: &Config) -> RunId {
    RunId::of(config, 1, &fingerprints())
}

/// Some factors, each with some of its key's values in some order.
fn factors() -> impl Strategy<Value = Vec<(usize, Vec<usize>)>> {
    subsequence((0..VALUES.len()).collect::<Vec<_>>(), 0..6).prop_shuffle().prop_flat_map(|keys| {
        keys.into_iter()
            .map(|key| {
                let all: Vec<_> = (0..VALUES[key].2.len()).collect();
                let levels = subsequence(all.clone(), 1..=all.len()).prop_shuffle();
                (Just(key), levels)
            })
            .collect::<Vec<_>>()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn one_factor_at_a_time(chosen in choices(), factors in factors()) {
        let mut text = sectioned(&chosen);
        text.insert_str(0, "replicates = 2\n");
        if !factors.is_empty() {
            text += "[factors]\n";
        }
        let mut expected = 1;
        for (key, levels) in &factors {
            let (section, name, values) = VALUES[*key];
            let levels_text: Vec<_> = levels.iter().map(|level| values[*level]).collect();
            text += &format!("{section}.{name} = [{}]\n", levels_text.join(", "));
            expected += levels.iter().filter(|level| **level != chosen[*key]).count();
        }
        let sweep = loaded(&[("sweep.toml", text.as_bytes())], &[]).unwrap();
        prop_assert_eq!(sweep.replicates.range(), (2, 2));
        let rows = sweep.rows();
        let ids: HashSet<RunId> = rows.iter().map(|row| id(&row.config)).collect();
        prop_assert_eq!(ids.len(), expected);
        prop_assert!(ids.contains(&id(&sweep.baseline)));
        // A row for each level, and one for the baseline; that is the baseline, and no other is.
        if factors.is_empty() {
            prop_assert!(matches!(rows.as_slice(), [row] if row.baseline && row.settings.is_empty()));
        }
        for (factor, (key, levels)) in sweep.factors.iter().zip(&factors) {
            let of_factor = |row: &&Row| row.settings.iter().any(|set| set.factor == factor.name);
            let rows: Vec<&Row> = rows.iter().filter(of_factor).collect();
            let unlisted = usize::from(!levels.contains(&chosen[*key]));
            prop_assert_eq!(rows.len(), levels.len() + unlisted);
            prop_assert_eq!(rows.iter().filter(|row| row.baseline).count(), 1);
            for row in rows {
                prop_assert_eq!(row.config == sweep.baseline, row.baseline);
            }
        }
        // The file's order, whatever that is.
        for (factor, (key, levels)) in sweep.factors.iter().zip(&factors) {
            prop_assert!(factor.name.ends_with(VALUES[*key].1));
            let baseline: Vec<_> = factor.levels.iter().map(|level| level.baseline).collect();
            let expected: Vec<_> = levels.iter().map(|level| *level == chosen[*key]).collect();
            prop_assert_eq!(baseline, expected);
        }
    }

    /// Another file, another order, other spellings of keys and paths, comments: the same runs.
    #[test]
    fn the_same_work_has_the_same_id(
        chosen in choices(),
        order in Just((0..VALUES.len()).collect::<Vec<_>>()).prop_shuffle(),
        spelling in prop::collection::vec(any::<bool>(), VALUES.len()),
        overridden in any::<Index>(),
    ) {
        let plain = loaded(&[("sweep.toml", sectioned(&chosen).as_bytes())], &[]).unwrap();

        let base = format!("# Something else first.\n{}", sectioned(&vec![0; VALUES.len()]));
        let mut text = "extends = \"./other/../base.toml\"\ntitle = \"Other\"\nreplicates = 3\n\
                        [baseline] # all of it\n\"data.train\" = \"./some/../folder\"\n".to_owned();
        let overridden = overridden.index(VALUES.len());
        let mut overrides = Vec::new();
        for key in order {
            let (section, name, values) = VALUES[key];
            let value = values[chosen[key]];
            if key == overridden {
                overrides.push(format!("{section}.{name}={value}").parse::<Override>().unwrap());
            } else if spelling[key] {
                text += &format!("  {name}={value} # {key}\n");
            } else {
                text += &format!("\"{section}.{name}\" = {value}\n\n");
            }
        }
        let other = loaded(&[("base.toml", base.as_bytes()), ("sweep.toml", text.as_bytes())], &overrides);
        prop_assert_eq!(id(&other.unwrap().baseline), id(&plain.baseline));
    }

    #[test]
    fn other_work_has_another_id(
        chosen in choices(),
        key in any::<Index>(),
        step in any::<Index>(),
        seed in 2..u64::MAX,
    ) {
        let key = key.index(VALUES.len());
        let count = VALUES[key].2.len();
        let mut changed = chosen.clone();
        changed[key] = (chosen[key] + 1 + step.index(count - 1)) % count;
        let config = loaded(&[("sweep.toml", sectioned(&chosen).as_bytes())], &[]).unwrap().baseline;
        let other = loaded(&[("sweep.toml", sectioned(&changed).as_bytes())], &[]).unwrap().baseline;
        prop_assert_ne!(id(&config), id(&other));
        prop_assert_ne!(id(&config), RunId::of(&config, seed, &fingerprints()));
        for change in [
            |prints: &mut Fingerprints| prints.train = Some("d".repeat(64)),
            |prints: &mut Fingerprints| prints.validation = Some("d".repeat(64)),
            |prints: &mut Fingerprints| prints.test = None,
            |prints: &mut Fingerprints| prints.weights = Some("d".repeat(64)),
        ] {
            let mut prints = fingerprints();
            change(&mut prints);
            prop_assert_ne!(id(&config), RunId::of(&config, 1, &prints));
        }
    }
}

/// Pieces that mean something in sweep files, and some that do not.
const PIECES: [&str; 32] = [
    "[factors]",
    "[baseline]",
    "[train]",
    "[data]",
    "[early_stopping]",
    "[[factors.model]]",
    "\n",
    " = ",
    "=",
    "batch_size",
    "freeze",
    "model",
    "early_stopping",
    "patience",
    "label",
    "extends",
    "false",
    "true",
    "nan",
    "-1",
    "1e999",
    "99999999999999999999",
    "\"\"",
    "\"none\"",
    "\"\\u0000\"",
    "[",
    "]",
    "{",
    "}",
    ",",
    "1979-05-27",
    "\u{feff}ü",
];

/// A text in which some places were cut out, doubled or filled with something else.
fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<Index>(), 0..40_usize, 0..PIECES.len() + 2), 1..8);
    (choices(), factors(), edits).prop_map(|(chosen, factors, edits)| {
        let mut text = sectioned(&chosen) + "[factors]\n";
        for (key, levels) in factors {
            let (_, name, values) = VALUES[key];
            let levels: Vec<_> = levels.iter().map(|level| values[*level]).collect();
            text += &format!("{name} = [{}]\n", levels.join(", "));
        }
        let mut text = text.into_bytes();
        for (place, length, piece) in edits {
            let start = place.index(text.len() + 1);
            let end = (start + length).min(text.len());
            let new = match piece.checked_sub(PIECES.len()) {
                None => PIECES[piece].as_bytes().to_vec(),
                Some(0) => text[start..end].repeat(2),
                Some(_) => vec![0xff],
            };
            text.splice(start..end, new);
        }
        text
    })
}

fn assert_answered(outcome: Result<Sweep, LoadError>) -> Result<(), TestCaseError> {
    if let Err(error) = outcome {
        prop_assert!(!error.problems().is_empty());
        let mut rendered = String::new();
        let handler = miette::GraphicalReportHandler::new();
        handler.render_report(&mut rendered, &error).unwrap();
        prop_assert!(!rendered.contains("Failed to read contents"), "{}", rendered);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_file_is_read_or_refused(text in mangled()) {
        assert_answered(loaded(&[("sweep.toml", &text)], &[]))?;
    }

    #[test]
    fn any_override_is_read_or_refused(text in "[a-z_.]{0,12}=?[ -~\\n]{0,20}", key in any::<Index>()) {
        let (section, name, _) = VALUES[key.index(VALUES.len())];
        let base = sectioned(&[0; VALUES.len()]);
        for text in [text.clone(), format!("{section}.{name}={text}")] {
            if let Ok(change) = text.parse() {
                assert_answered(loaded(&[("sweep.toml", base.as_bytes())], &[change]))?;
            }
        }
    }
}
