//! What the documentation shows and what is shipped beside it can be loaded, so that it cannot rot.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::path::{Path, PathBuf};

use miette::Report;
use spec::config::Config;
use spec::sweep_file::{load, load_nightly};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files in `folder` that end so, in order.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(project().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|is| is == ending));
    files.sort();
    files
}

/// The blocks of TOML in a text of Markdown, without what they are indented by.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(indent) = line.find("```toml") else { continue };
        let block = lines.by_ref().take_while(|line| line.trim() != "```");
        blocks.push(
            block
                .map(|line| line.get(indent..).unwrap_or_default())
                .fold(String::new(), |text, line| text + line + "\n"),
        );
    }
    blocks
}

/// Blocks are whole sweep files, or parts of one: those stand for the shipped baseline with this part.
#[test]
fn sweep_files_in_the_documentation_can_be_loaded() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::copy(project().join("sweeps/base.toml"), folder.path().join("base.toml")).unwrap();
    let mut documents = files("docs", "md");
    documents.push(project().join("README.md"));
    let mut loaded = 0;
    for document in documents {
        for block in blocks(&fs_err::read_to_string(&document).unwrap()) {
            let is_whole = block.contains("extends") || block.contains("[trainer]");
            let extends = if is_whole { "" } else { "extends = \"base.toml\"\n" };
            let file = folder.path().join("shown.toml");
            fs_err::write(&file, format!("{extends}{block}")).unwrap();
            if let Err(error) = load(&file, &[]) {
                panic!("{}: {:?}", document.display(), Report::new(error));
            }
            loaded += 1;
        }
    }
    assert!(loaded >= 5, "only {loaded} were found");
}

#[test]
fn the_examples_can_be_loaded_and_have_trainers_of_their_own() {
    for folder in ["examples/keras", "examples/pytorch", "examples/shell", "examples/worker"] {
        let files = files(folder, "toml");
        assert!(!files.is_empty(), "{folder}");
        for file in files {
            let sweep = load(&file, &[]).unwrap_or_else(|error| panic!("{:?}", Report::new(error)));
            assert!(matches!(sweep.baseline, Config::Own(_)), "{folder}");
        }
    }
}

/// It says of itself that every key is in it, with its default where it has one.
#[test]
fn the_shipped_nightly_file_has_every_key_and_tells_the_defaults() {
    let file = project().join("scripts/nightly.toml");
    let shipped = load_nightly(&file).unwrap_or_else(|error| panic!("{:?}", Report::new(error)));
    for sweep in &shipped.sweeps {
        load(sweep, &[]).unwrap_or_else(|error| panic!("{:?}", Report::new(error)));
    }
    let text = fs_err::read_to_string(&file).unwrap();
    // Asked for by an error, so that the list is the program's own.
    let folder = tempfile::tempdir().unwrap();
    let minimal = folder.path().join("nightly.toml");
    fs_err::write(folder.path().join("a.toml"), "").unwrap();
    fs_err::write(&minimal, "sweeps = [\"a.toml\"]\nfrobnicate = 1\n").unwrap();
    let said = format!("{:?}", Report::new(load_nightly(&minimal).unwrap_err()));
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, keys) = said.split_once("its keys are ").unwrap();
    for key in keys.split(", ").map(str::trim).filter(|key| *key != "regression") {
        let is_it = |line: &&str| line.trim_start_matches("# ").starts_with(&format!("{key} = "));
        assert!(text.lines().any(|line| is_it(&line)), "{key} is not in the file");
    }
    assert!(text.contains("\n[regression]\n"));
    fs_err::write(&minimal, "sweeps = [\"a.toml\"]\n").unwrap();
    let default = load_nightly(&minimal).unwrap();
    assert_eq!(shipped.wait_limit, Some(spec::nightly::DEFAULT_WAIT));
    assert_eq!(shipped.keep, default.keep);
    assert_eq!(shipped.timezone, default.timezone);
    assert_eq!(shipped.features, default.features);
    assert_eq!(shipped.compare_with, default.compare_with);
    assert_eq!(shipped.regression, default.regression);
    assert_eq!(shipped.hook_time_limit, default.hook_time_limit);
}
