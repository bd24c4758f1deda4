//! `--output FILE`, or stdout.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use ::weights::aside::Aside;

use crate::exit::Failure;
use crate::tables::TableError;

/// Has `write` write to `file`, which is then there whole or not at all, or to stdout. A reader of stdout
/// that has seen enough (`| head`) is no error.
pub(super) fn to(
    file: Option<&Path>,
    write: impl FnOnce(Box<dyn Write + Send>) -> Result<(), TableError>,
) -> Result<(), Failure> {
    let Some(file) = file else {
        return match write(Box::new(BufWriter::new(io::stdout()))) {
            Err(TableError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        };
    };
    // A device or a pipe is written to, not replaced.
    let is_special = fs_err::metadata(file).is_ok_and(|metadata| !metadata.is_file());
    if is_special {
        let open = || fs_err::OpenOptions::new().write(true).open(file);
        return Ok(write(Box::new(BufWriter::new(open().map_err(TableError::from)?)))?);
    }
    let aside = Aside::of(file);
    let written = fs_err::File::create(aside.path()).map_err(TableError::from)?;
    let handle = written.file().try_clone().map_err(TableError::from)?;
    write(Box::new(BufWriter::new(written)))?;
    handle.sync_all().and_then(|()| aside.keep()).map_err(TableError::from)?;
    Ok(())
}

/// Writes `text` to `file` or stdout.
pub(super) fn text(file: Option<&Path>, text: &str) -> Result<(), Failure> {
    to(file, |mut to| Ok(to.write_all(text.as_bytes()).and_then(|()| to.flush())?))
}
