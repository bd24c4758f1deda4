//! Which run is meant by what a person typed.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::Serialize;
use spec::paths::ResultsDir;
use spec::record::PlanRun;
use spec::run_id::RunId;
use thiserror::Error;

use crate::exit::{self, Ends};
use crate::store::{self, ReadError};

/// Fewer digits of a run id than this may well be a word.
const LEAST_DIGITS: usize = 4;
/// More candidates than these are only counted.
const MOST: usize = 10;

/// Every run in a results folder.
#[derive(Debug)]
pub struct Catalog {
    results: PathBuf,
    runs: Vec<Known>,
}

/// A run, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The run.
    pub planned: PlanRun,
    /// In which rows of which sweeps; none when no sweep's plan has it any more.
    pub stands: Vec<Place>,
}

/// A row of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The sweep.
    pub sweep: String,
    /// The factor; `baseline` for the baseline of a sweep without factors.
    pub factor: String,
    /// The level.
    pub level: String,
    /// Whether the row is the baseline.
    pub baseline: bool,
}

/// No run, or several.
#[derive(Debug, Error, Diagnostic)]
pub enum FindError {
    /// Nothing is called so.
    #[error("there is no row or run `{wanted}` in {}", results.display())]
    #[diagnostic(help(
        "a run is named by the beginning of its id, its folder, its slug, or its row and seed as in \
         batch_size:batch_size=16:3, and a row without the seed; `sweep status` lists the sweeps, `sweep report \
         --format csv` all runs"
    ))]
    Nothing {
        /// As it was asked for.
        wanted: String,
        /// Where.
        results: PathBuf,
    },
    /// Several runs are called so.
    #[error("`{wanted}` could be {}:\n{}", counted(candidates.len()), listed(candidates))]
    #[diagnostic(help("name one of them by its folder, or by its row and seed"))]
    Several {
        /// As it was asked for.
        wanted: String,
        /// For each, its folder's name and a row.
        candidates: Vec<String>,
    },
    /// The results cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Read(#[from] ReadError),
}

impl Ends for FindError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Nothing { .. } | Self::Several { .. } => exit::USAGE,
            Self::Read(error) => error.exit_code(),
        }
    }
}

fn counted(runs: usize) -> String {
    format!("{runs} runs")
}

fn listed(candidates: &[String]) -> String {
    let mut lines: Vec<String> =
        candidates.iter().take(MOST).map(|candidate| format!("  {candidate}")).collect();
    if candidates.len() > MOST {
        lines.push(format!("  and {} more", candidates.len() - MOST));
    }
    lines.join("\n")
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.level.as_str() {
            "" => write!(f, "{}:{}", self.sweep, self.factor),
            level => write!(f, "{}:{}={level}", self.sweep, self.factor),
        }
    }
}

impl Known {
    /// The name of its folder.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.planned.slug, self.planned.run.short())
    }

    /// Its folder's name and a row, for a list.
    fn shown(&self) -> String {
        let seed = self.planned.seed;
        match self.stands.as_slice() {
            [] => format!("{}  in no sweep, seed {seed}", self.folder()),
            [place, ..] => format!("{}  {place}:{seed}", self.folder()),
        }
    }
}

impl Catalog {
    /// What the plans in `dir` need, and what its folder of runs has besides.
    ///
    /// # Errors
    /// When the folder cannot be read, or a newer version of this program wrote it.
    pub fn read(dir: &ResultsDir) -> Result<Self, ReadError> {
        let mut runs: Vec<Known> = Vec::new();
        let mut at: HashMap<RunId, usize> = HashMap::new();
        for plan in store::plans(dir, &[])? {
            for row in &plan.rows {
                for planned in &row.runs {
                    let place = Place {
                        sweep: plan.sweep.clone(),
                        factor: row.factor(),
                        level: row.level(),
                        baseline: row.baseline,
                    };
                    let number = *at.entry(planned.run).or_insert_with(|| {
                        runs.push(Known { planned: planned.clone(), stands: Vec::new() });
                        runs.len() - 1
                    });
                    runs[number].stands.push(place);
                }
            }
        }
        for planned in store::runs(dir)? {
            if !at.contains_key(&planned.run) {
                runs.push(Known { planned, stands: Vec::new() });
            }
        }
        Ok(Self { results: dir.root().to_owned(), runs })
    }

    /// The one run that `wanted` names.
    ///
    /// # Errors
    /// When it names none, or several.
    pub fn find(&self, wanted: &str) -> Result<&Known, FindError> {
        match self.all(wanted).as_slice() {
            [] => {
                Err(FindError::Nothing { wanted: wanted.to_owned(), results: self.results.clone() })
            }
            [one] => Ok(one),
            several => Err(FindError::Several {
                wanted: wanted.to_owned(),
                candidates: several.iter().map(|run| run.shown()).collect(),
            }),
        }
    }

    /// The runs that `wanted` names: by a row, an id's beginning, a folder, or a slug.
    fn all(&self, wanted: &str) -> Vec<&Known> {
        let matching = |fits: &dyn Fn(&Known) -> bool| -> Vec<&Known> {
            self.runs.iter().filter(|run| fits(run)).collect()
        };
        let name = Path::new(wanted).file_name().and_then(|name| name.to_str()).unwrap_or(wanted);
        let by_folder = matching(&|run| run.folder() == name);
        if !by_folder.is_empty() {
            return by_folder;
        }
        let digits = wanted.to_ascii_lowercase();
        if digits.len() >= LEAST_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let by_id = matching(&|run| run.planned.run.to_string().starts_with(&digits));
            if !by_id.is_empty() {
                return by_id;
            }
        }
        let by_slug = matching(&|run| run.planned.slug == wanted);
        if !by_slug.is_empty() {
            return by_slug;
        }
        matching(&|run| run.stands.iter().any(|place| is_named(place, run.planned.seed, wanted)))
    }
}

/// Whether `wanted` is this row, with this seed or without any.
fn is_named(place: &Place, seed: u64, wanted: &str) -> bool {
    let is_row = |wanted: &str| {
        let baseline = place.baseline && wanted == format!("{}:baseline", place.sweep);
        baseline || wanted == place.to_string()
    };
    let with_seed = wanted.rsplit_once(':').filter(|(_, last)| last.parse() == Ok(seed));
    is_row(wanted) || with_seed.is_some_and(|(row, _)| is_row(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(number: u8, slug: &str, seed: u64, stands: &[(&str, &str, &str, bool)]) -> Known {
        let run = RunId::from_digest([number; 32]);
        let place = |&(sweep, factor, level, baseline): &(&str, &str, &str, bool)| Place {
            sweep: sweep.to_owned(),
            factor: factor.to_owned(),
            level: level.to_owned(),
            baseline,
        };
        Known {
            planned: PlanRun { run, slug: slug.to_owned(), seed },
            stands: stands.iter().map(place).collect(),
        }
    }

    fn catalog() -> Catalog {
        let base = [("size", "batch_size", "32", true), ("rate", "learning_rate", "0.1", true)];
        let runs = vec![
            known(0xab, "net-b32-s1", 1, &base),
            known(0xac, "net-b32-s2", 2, &base),
            known(0x12, "net-b16-s1", 1, &[("size", "batch_size", "16", false)]),
            known(0x13, "net-b16-s1", 1, &[("odd", "when", "a:1", false)]),
            known(0x14, "abcd", 3, &[]),
        ];
        Catalog { results: "results".into(), runs }
    }

    #[test]
    fn runs_go_by_many_names() {
        let catalog = catalog();
        let cases = [
            ("abab", Ok(0xab)),
            ("ABABAB", Ok(0xab)),
            (&"ab".repeat(32), Ok(0xab)),
            ("net-b32-s1-abababababab", Ok(0xab)),
            ("results/runs/net-b32-s1-abababababab/", Ok(0xab)),
            ("net-b32-s2", Ok(0xac)),
            ("net-b16-s1", Err(2)),
            ("size:batch_size=16:1", Ok(0x12)),
            ("size:batch_size=16", Ok(0x12)),
            ("size:batch_size=16:2", Err(0)),
            ("size:batch_size=32", Err(2)),
            ("size:baseline:2", Ok(0xac)),
            ("rate:learning_rate=0.1:2", Ok(0xac)),
            ("odd:when=a:1", Ok(0x13)),
            ("odd:when=a:1:1", Ok(0x13)),
            ("abcd", Ok(0x14)),
            ("a", Err(0)),
            ("", Err(0)),
        ];
        for (wanted, expected) in cases {
            let found = match catalog.find(wanted) {
                Ok(run) => Ok(run.planned.run),
                Err(FindError::Several { candidates, .. }) => Err(candidates.len()),
                Err(FindError::Nothing { .. }) => Err(0),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(found, expected.map(|number| RunId::from_digest([number; 32])), "{wanted}");
        }
    }

    #[test]
    fn candidates_are_listed() {
        let several = catalog().find("size:batch_size=32").unwrap_err().to_string();
        assert_eq!(
            several,
            "`size:batch_size=32` could be 2 runs:\n  net-b32-s1-abababababab  size:batch_size=32:1\n  \
             net-b32-s2-acacacacacac  size:batch_size=32:2"
        );
    }
}
