//! `sweep weights`

use std::path::{Path, PathBuf};

use ::weights::convert::{self, ConvertError};
use ::weights::folder::WeightsFolder;
use ::weights::hub::{self, Hub, PullError};
use ::weights::inspect::{self, Contents, InspectError};
use ::weights::known::{KNOWN, Known};
use indicatif::{ProgressBar, ProgressStyle};
use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

use super::{print, print_json};
use crate::cli;
use crate::exit::{self, Ends, Failure};
use crate::output::Console;

/// Weights that cannot be used.
#[derive(Debug, Error, Diagnostic)]
enum WeightsError {
    #[error("the weights of {name} are missing: {}", file.display())]
    #[diagnostic(help("`{command}` gets them; SWEEP_WEIGHTS names another folder"))]
    Missing { name: &'static str, file: PathBuf, command: String },
    #[error("{given} is neither a file nor known by name")]
    #[diagnostic(help("known are {}", names()))]
    Unknown { given: String },
    #[error("no weights are known by the name {given}")]
    #[diagnostic(help("known are {}", names()))]
    UnknownName { given: String },
    #[error(transparent)]
    Pull(PullError),
    #[error(transparent)]
    Inspect(InspectError),
    #[error(transparent)]
    Convert(ConvertError),
}

impl Ends for WeightsError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Pull(PullError::Elsewhere { .. }) => exit::USAGE,
            Self::Missing { .. }
            | Self::Pull(_)
            | Self::Inspect(InspectError::Read(_))
            | Self::Convert(ConvertError::Write { .. }) => exit::ENVIRONMENT,
            _ => exit::USAGE,
        }
    }
}

pub(super) fn weights(args: &cli::Weights, console: &Console) -> Result<u8, Failure> {
    let folder = WeightsFolder::from_environment();
    match args {
        cli::Weights::List(args) => list(args, &folder, console),
        cli::Weights::Pull(args) => pull(args, &folder, console),
        cli::Weights::Verify(args) => verify(args, &folder, console),
        cli::Weights::Convert(args) => convert(args, console),
    }
}

/// Known weights and whether they are here.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    file: PathBuf,
    /// Absent when the file is not there.
    bytes: Option<u64>,
    origin: String,
    licence: &'static str,
    command: String,
}

fn list(args: &cli::WeightsList, folder: &WeightsFolder, console: &Console) -> Result<u8, Failure> {
    let listed = KNOWN.map(|known| {
        let file = folder.file(known.name);
        let bytes = fs_err::metadata(&file).ok().filter(|found| found.is_file());
        Listed {
            name: known.name,
            bytes: bytes.map(|found| found.len()),
            file,
            origin: known.origin(),
            licence: known.licence,
            command: known.command(folder),
        }
    });
    match args.json {
        true => print_json(console, &listed)?,
        false => print(console, &table(folder.path(), &listed))?,
    }
    Ok(exit::DONE)
}

fn table(folder: &Path, listed: &[Listed]) -> String {
    let mut text = format!("{}\n", folder.display());
    for Listed { name, bytes, origin, licence, command, .. } in listed {
        let (state, size) = match bytes {
            Some(bytes) => ("here", mib(*bytes)),
            None => ("absent", String::new()),
        };
        text.push_str(&format!("  {state:<7} {name:<20} {size:>9}  {origin} ({licence})\n"));
        if bytes.is_none() {
            text.push_str(&format!("  {:<7} {:<20} {:>9}  -> {command}\n", "", "", ""));
        }
    }
    text
}

/// Downloaded bytes as a bar.
struct Bar(ProgressBar);

impl hub::Progress for Bar {
    fn init(&mut self, size: usize, _file: &str) {
        self.0.set_length(size as u64);
        self.0.set_position(0);
    }

    fn update(&mut self, size: usize) {
        self.0.inc(size as u64);
    }

    fn finish(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn pull(args: &cli::WeightsPull, folder: &WeightsFolder, console: &Console) -> Result<u8, Failure> {
    let unknown = |given: &String| WeightsError::UnknownName { given: given.clone() };
    let find = |given: &String| Known::find(given).ok_or_else(|| unknown(given));
    // All names before the first download.
    let wanted: Vec<&Known> = args.names.iter().map(find).collect::<Result<_, _>>()?;
    let hub = Hub::from_environment();
    for known in wanted {
        let bar = match console.draws_bars() {
            true => console.bars().add(ProgressBar::new(0)),
            false => ProgressBar::hidden(),
        };
        let style = "  {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(known.name);
        console.say(&format!("{}: {} ({})", known.name, known.origin(), known.licence));
        let contents = hub.pull(known, folder, Bar(bar)).map_err(WeightsError::Pull)?;
        print(console, &Verified::new(folder.file(known.name), contents).text())?;
    }
    Ok(exit::DONE)
}

/// A file that was read to its end.
#[derive(Debug, Serialize)]
struct Verified {
    file: PathBuf,
    bytes: u64,
    tensors: usize,
    numbers: u64,
    sha256: String,
    blake3: String,
}

fn verify(
    args: &cli::WeightsVerify,
    folder: &WeightsFolder,
    console: &Console,
) -> Result<u8, Failure> {
    let files: Vec<PathBuf> = match &args.weights[..] {
        [] => {
            KNOWN.map(|known| folder.file(known.name)).into_iter().filter(|f| f.is_file()).collect()
        }
        given => given.iter().map(|given| find(given, folder)).collect::<Result<_, _>>()?,
    };
    let mut verified = Vec::new();
    for file in files {
        let contents = inspect::inspect(&file).map_err(WeightsError::Inspect)?;
        let found = Verified::new(file, contents);
        if !args.json {
            print(console, &found.text())?;
        }
        verified.push(found);
    }
    if args.json {
        print_json(console, &verified)?;
    }
    Ok(exit::DONE)
}

/// The file that is meant by a name or a path.
fn find(given: &str, folder: &WeightsFolder) -> Result<PathBuf, WeightsError> {
    let path = Path::new(given);
    match Known::find(given) {
        _ if path.is_file() => Ok(path.to_owned()),
        Some(known) => {
            let file = folder.file(known.name);
            match file.is_file() {
                true => Ok(file),
                false => {
                    let command = known.command(folder);
                    Err(WeightsError::Missing { name: known.name, file, command })
                }
            }
        }
        None => Err(WeightsError::Unknown { given: given.to_owned() }),
    }
}

fn convert(args: &cli::WeightsConvert, console: &Console) -> Result<u8, Failure> {
    let contents = convert::convert(&args.input, &args.output).map_err(WeightsError::Convert)?;
    print(console, &Verified::new(args.output.clone(), contents).text())?;
    Ok(exit::DONE)
}

impl Verified {
    fn new(file: PathBuf, contents: Contents) -> Self {
        let Contents { bytes, tensors, numbers, sha256, blake3 } = contents;
        Self { file, bytes, tensors, numbers, sha256, blake3 }
    }

    fn text(&self) -> String {
        format!(
            "{}\n  tensors     {}\n  numbers     {}\n  bytes       {}\n  sha256      {}\n  blake3      {}\n",
            self.file.display(),
            self.tensors,
            self.numbers,
            self.bytes,
            self.sha256,
            self.blake3
        )
    }
}

fn names() -> String {
    KNOWN.map(|known| known.name).join(", ")
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
