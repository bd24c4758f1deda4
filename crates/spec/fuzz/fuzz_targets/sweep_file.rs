//! Any bytes as a sweep file, and any text as a `--set`: read or refused, never a panic, and every
//! refusal can be shown at its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spec::sweep_file::{Override, load};

fuzz_target!(|input: (&[u8], Option<&str>)| {
    let (file, change) = input;
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("sweep.toml");
    std::fs::write(&path, file).expect("the file");
    let changes: Vec<Override> = change.and_then(|text| text.parse().ok()).into_iter().collect();
    if let Err(error) = load(&path, &changes) {
        assert!(!error.problems().is_empty());
        let mut shown = String::new();
        let handler = miette::GraphicalReportHandler::new();
        handler.render_report(&mut shown, &error).expect("a report");
        assert!(!shown.contains("Failed to read contents"), "{shown}");
    }
});
