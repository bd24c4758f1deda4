//! `sweep explain`

use std::path::PathBuf;

use miette::Diagnostic;
use spec::paths::ResultsDir;
use thiserror::Error;

use super::{print, print_json};
use crate::cli;
use crate::exit::{self, Ends, Failure};
use crate::explain::{explain as known_of, text};
use crate::find::Catalog;
use crate::output::Console;

/// A run whose settings are not on the disk.
#[derive(Debug, Error, Diagnostic)]
#[error("the settings of this run are not known: it has not begun")]
#[diagnostic(help("they are in {} as soon as it has", file.display()))]
struct NotBegun {
    file: PathBuf,
}

impl Ends for NotBegun {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

pub(super) fn explain(
    args: &cli::Explain,
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let catalog = Catalog::read(results)?;
    let known = catalog.find(&args.run)?;
    let explained = known_of(results, known)?;
    match (args.json, args.toml) {
        (true, _) => print_json(console, &explained)?,
        (_, true) => match &explained.sweep_file {
            Some(file) => print(console, file)?,
            None => {
                let file = results.run(&known.planned).config();
                return Err(NotBegun { file }.into());
            }
        },
        _ => print(console, &text(&explained))?,
    }
    Ok(exit::DONE)
}
