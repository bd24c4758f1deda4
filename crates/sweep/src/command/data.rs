//! `sweep data`

use indicatif::{ProgressBar, ProgressStyle};
use miette::Diagnostic;
use synth::Plates;
use thiserror::Error;

use crate::cli;
use crate::exit::{self, Ends, Failure};
use crate::output::Console;

/// The pictures were not written.
#[derive(Debug, Error, Diagnostic)]
#[error(transparent)]
struct SynthError(#[from] synth::WriteError);

impl Ends for SynthError {
    fn exit_code(&self) -> u8 {
        match self.0 {
            synth::WriteError::Io(_) => exit::ENVIRONMENT,
            _ => exit::USAGE,
        }
    }
}

pub(super) fn synth(args: &cli::Synth, console: &Console) -> Result<u8, Failure> {
    let plates =
        Plates { seed: args.seed, train: args.train, test: args.test, ..Plates::default() };
    let bar = match console.draws_bars() {
        true => console.bars().add(ProgressBar::new(plates.count())),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("  {wide_bar} {pos}/{len} pictures  {eta}") {
        bar.set_style(style);
    }
    let written = plates.write(&args.folder, &|done| bar.set_position(done));
    bar.finish_and_clear();
    written.map_err(SynthError)?;
    console.say(&format!("{} pictures in {}", plates.count(), args.folder.display()));
    Ok(exit::DONE)
}
