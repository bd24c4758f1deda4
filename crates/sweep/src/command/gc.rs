//! `sweep gc`

use bytesize::ByteSize;
use spec::paths::ResultsDir;

use super::{count, print};
use crate::cli;
use crate::exit::{self, Failure};
use crate::output::Console;
use crate::store::{Collected, collect_garbage};

pub(super) fn gc(args: &cli::Gc, results: &ResultsDir, console: &Console) -> Result<u8, Failure> {
    let Collected { freed, left, in_use } = collect_garbage(results, args.cache.as_u64())?;
    let used = match in_use {
        0 => String::new(),
        files => format!(", {} in use among them", count(files, "file")),
    };
    let [bytes, left] = [freed.bytes, left].map(ByteSize::b);
    let text = format!(
        "removed {} ({bytes}); {left} of features are left{used}\n",
        count(freed.files, "file")
    );
    print(console, &text)?;
    Ok(exit::DONE)
}
