//! `sweep init`

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use crate::cli;
use crate::exit::{self, Ends, Failure};
use crate::output::Console;

/// The baseline of the sweeps that come with the program, every key commented.
const BASE: &str = include_str!("../../../../sweeps/base.toml");

/// A first sweep on it.
const SWEEP: &str = include_str!("init/batch_size.toml");

/// A folder that cannot be begun.
#[derive(Debug, Error, Diagnostic)]
enum InitError {
    /// Something is there already.
    #[error("{} is there already, and nothing is overwritten", file.display())]
    #[diagnostic(help("name another folder, or move it away"))]
    There {
        /// It.
        file: PathBuf,
    },
    /// It cannot be written.
    #[error("cannot begin: {0}")]
    #[diagnostic(help("see to the folder, or name another"))]
    Write(#[from] io::Error),
}

impl Ends for InitError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::There { .. } => exit::USAGE,
            Self::Write(_) => exit::ENVIRONMENT,
        }
    }
}

pub(super) fn init(args: &cli::Init, console: &Console) -> Result<u8, Failure> {
    let files = [
        (args.folder.join("base.toml"), base(&args.train, args.test.as_deref())),
        (args.folder.join("batch_size.toml"), SWEEP.to_owned()),
    ];
    // Before the first is written: both or neither.
    if let Some((file, _)) = files.iter().find(|(file, _)| file.symlink_metadata().is_ok()) {
        return Err(InitError::There { file: file.clone() }.into());
    }
    fs_err::create_dir_all(&args.folder).map_err(InitError::from)?;
    for (file, text) in &files {
        write(file, text)?;
        console.say(&format!("wrote {}", file.display()));
    }
    let train = args.folder.join(&args.train);
    if !train.is_dir() {
        console.say(&format!(
            "now put training images into {}, a folder for each class, or name another place in base.toml",
            train.display()
        ));
    }
    console.say(&format!("then: sweep run {}", files[1].0.display()));
    Ok(exit::DONE)
}

fn write(file: &Path, text: &str) -> Result<(), InitError> {
    let mut options = fs_err::OpenOptions::new();
    let written = options.write(true).create_new(true).open(file);
    match written.and_then(|mut written| written.write_all(text.as_bytes())) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(InitError::There { file: file.to_owned() })
        }
        written => Ok(written?),
    }
}

/// The commented baseline, on other images.
fn base(train: &Path, test: Option<&Path>) -> String {
    let quoted = |path: &Path| format!("{:?}", path.display().to_string());
    let lines = BASE.lines().map(|line| match line.split(" = ").next() {
        Some("train") => format!("train = {}", quoted(train)),
        Some("test") => match test {
            Some(test) => format!("test = {}", quoted(test)),
            None => "# test = \"data/test\"".to_owned(),
        },
        _ => line.replace("sweeps/base.toml", "base.toml"),
    });
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_are_the_users_own_and_all_else_stays() {
        let of = |test| base(Path::new("my images"), test);
        let changed = |text: String| -> Vec<String> {
            let lines = text.lines().zip(BASE.lines()).filter(|(one, other)| one != other);
            lines.map(|(line, _)| line.to_owned()).collect()
        };
        let without = changed(of(None));
        assert!(without.contains(&"train = \"my images\"".to_owned()), "{without:?}");
        assert!(without.contains(&"# test = \"data/test\"".to_owned()), "{without:?}");
        assert!(changed(of(Some(Path::new("t")))).contains(&"test = \"t\"".to_owned()));
        assert_eq!(of(None).lines().count(), BASE.lines().count());
    }
}
