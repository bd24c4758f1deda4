//! `sweep gc`

use std::num::NonZeroU32;

use bytesize::ByteSize;
use spec::nightly::Timezone;
use spec::paths::ResultsDir;

use super::{count, print};
use crate::cli;
use crate::exit::{self, Failure};
use crate::nightly::calendar;
use crate::output::Console;
use crate::store::nights::Nights;
use crate::store::{Collected, collect_garbage};

pub(super) fn gc(args: &cli::Gc, results: &ResultsDir, console: &Console) -> Result<u8, Failure> {
    if let Some(keep) = args.nights {
        prune(results, keep, console)?;
    }
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

/// Removes nights, if none is going on.
fn prune(results: &ResultsDir, keep: NonZeroU32, console: &Console) -> Result<(), Failure> {
    let dir = results.nights();
    if !dir.root().is_dir() {
        return print(console, "there are no nights\n");
    }
    let now = calendar::in_zone(calendar::now(), Timezone::Local);
    let removed = Nights::open(dir, &now)?.prune(keep.get() as usize)?;
    let text = match removed.as_slice() {
        [] => "removed no night\n".to_owned(),
        nights => format!("removed {}: {}\n", count(nights.len(), "night"), nights.join(", ")),
    };
    print(console, &text)
}
