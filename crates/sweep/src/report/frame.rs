//! Aggregation over seeds, in polars.

use miette::Diagnostic;
use polars::prelude::{ChunkAgg as _, ChunkVar as _};
use polars::prelude::{Column, DataFrame, IntoColumn as _, NamedFrom as _, PolarsError, Series};
use thiserror::Error;

use super::{Entry, Summary};
use crate::exit::{self, Ends};

/// The aggregation failed.
#[derive(Debug, Error, Diagnostic)]
#[error("cannot aggregate the runs: {0}")]
#[diagnostic(help("this is a mistake in sweep: please report it with the sweep's plan.json"))]
pub struct FrameError(PolarsError);

impl From<PolarsError> for FrameError {
    fn from(error: PolarsError) -> Self {
        Self(error)
    }
}

impl Ends for FrameError {
    fn exit_code(&self) -> u8 {
        exit::ENVIRONMENT
    }
}

/// For each row in order: its number, its scores, its validation accuracies.
type RowSummary = (u32, Option<Summary>, Option<Summary>);

/// Summaries of all rows, over their finished seeds.
pub(super) fn summarize(entries: &[Entry]) -> Result<Vec<RowSummary>, FrameError> {
    let rows: Vec<u32> = entries.iter().map(|entry| entry.row).collect();
    let scores: Vec<Option<f64>> = entries.iter().map(Entry::score).collect();
    let validation: Vec<Option<f64>> = entries.iter().map(Entry::validation).collect();
    let runs = DataFrame::new(
        rows.len(),
        vec![
            Series::new("row".into(), rows).into_column(),
            Series::new("score".into(), scores).into_column(),
            Series::new("validation".into(), validation).into_column(),
        ],
    )?;
    let groups = runs.group_by_stable(["row"])?;
    let mut summaries = Vec::new();
    groups.apply(|group| {
        let row = group.column("row")?.u32()?.get(0).unwrap_or_default();
        summaries.push((
            row,
            summary(group.column("score")?)?,
            summary(group.column("validation")?)?,
        ));
        Ok(group)
    })?;
    Ok(summaries)
}

/// The summary of some numbers.
pub(super) fn summary_of(
    numbers: impl Iterator<Item = f64>,
) -> Result<Option<Summary>, FrameError> {
    let numbers: Vec<f64> = numbers.collect();
    Ok(summary(&Series::new("numbers".into(), numbers).into_column())?)
}

fn summary(column: &Column) -> Result<Option<Summary>, PolarsError> {
    let numbers = column.f64()?;
    let n = numbers.len() - numbers.null_count();
    Ok(match (numbers.mean(), numbers.min(), numbers.max()) {
        (Some(mean), Some(min), Some(max)) => {
            Some(Summary { n, mean, std: numbers.std(1), min, max })
        }
        _ => None,
    })
}
