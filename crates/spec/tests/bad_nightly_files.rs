//! What is said about nightly files that cannot be used, as a person sees it.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod refused;

use refused::{folder, rendered};
use spec::sweep_file::load_nightly;

/// What is said when `nightly.toml` has this text, beside a sweep `batch_size.toml`.
fn said(text: &str) -> String {
    let folder = folder(&[("batch_size.toml", ""), ("nightly.toml", text)]);
    match load_nightly(&folder.join("nightly.toml")) {
        Ok(nightly) => panic!("this was to be refused: {nightly:?}"),
        Err(error) => {
            // A missing file is named by its absolute path.
            let root = std::env::current_dir().unwrap();
            rendered(&error, &folder).replace(root.to_str().unwrap(), "[DIR]")
        }
    }
}

/// With its sweeps.
fn with(text: &str) -> String {
    said(&format!("sweeps = [\"batch_size.toml\"]\n{text}"))
}

macro_rules! snapshots {
    ($($name:ident: $said:expr;)*) => {
        $(#[test] fn $name() { insta::assert_snapshot!($said); })*
    };
}

snapshots! {
    // Names.
    unknown_key: with("device = \"cuda\"\nbugdet = \"8h\"\nfrobnicate = 1\n");
    key_of_a_sweep_file: with("replicates = 3\n[factors]\nbatch_size = [16]\n");
    unknown_key_in_regression: with("[regression]\nalhpa = 0.05\n");
    // Sweeps.
    no_sweeps: said("budget = \"8h\"\n");
    empty_sweeps: said("sweeps = []\n");
    missing_sweep: said("sweeps = [\n    \"batch_size.toml\",\n    \"batchsize.toml\",\n]\n");
    sweeps_that_are_none: said("sweeps = \"batch_size.toml\"\n");
    sweeps_of_another_kind: said("sweeps = [1, \"\", \"batch_size.toml\"]\n");
    // Values.
    bad_times: with("budget = \"eight hours\"\nwait_limit = 3600\n");
    bad_memory: with("wait_free_memory = \"much\"\n");
    bad_numbers: with("per_device = 0\nkeep = -1\n");
    bad_words: with("timezone = \"UTC\"\nfeatures = \"toolchains\"\ndevices = \"gpu\"\n");
    bad_night: with("compare_with = \"yesterday\"\n");
    bad_commands: with("on_finish = [\"mail\"]\non_regression = \"\"\n");
    bad_regression: with("[regression]\nalpha = 0\nmargin = \"2 %\"\nlost_runs = 1\n");
    no_table: with("regression = 0.05\n");
    twice: with("keep = 3\nkeep = 4\n");
    no_toml: with("keep = = 3\n");
}
