//! Tables as CSV, JSON and Parquet, part by part.

use std::io::{self, Write};

use miette::Diagnostic;
use polars::prelude::{
    BatchedWriter, Column as Series_, DataFrame, IntoColumn as _, NamedFrom as _, ParquetWriter,
    PolarsError, Series,
};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::field::{Column, Values};
use crate::exit::{self, Ends};
use crate::store::ReadError;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated, a header first; nothing where there is nothing to say.
    Csv,
    /// A list of objects; `null` where there is nothing to say.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// A table that cannot be written.
#[derive(Debug, Error, Diagnostic)]
pub enum TableError {
    /// A run cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Read(#[from] ReadError),
    /// The table cannot be written.
    #[error("cannot write the table: {0}")]
    #[diagnostic(help("see to the place, or name another with --output"))]
    Write(io::Error),
}

impl Ends for TableError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Read(error) => error.exit_code(),
            Self::Write(_) => exit::ENVIRONMENT,
        }
    }
}

impl From<io::Error> for TableError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<csv::Error> for TableError {
    fn from(error: csv::Error) -> Self {
        Self::Write(match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            kind => io::Error::other(format!("{kind:?}")),
        })
    }
}

impl From<serde_json::Error> for TableError {
    fn from(error: serde_json::Error) -> Self {
        Self::Write(error.into())
    }
}

impl From<PolarsError> for TableError {
    fn from(error: PolarsError) -> Self {
        match error {
            PolarsError::IO { error, .. } => {
                Self::Write(io::Error::new(error.kind(), error.to_string()))
            }
            error => Self::Write(io::Error::other(error.to_string())),
        }
    }
}

/// Writes a table that comes in parts.
///
/// # Errors
/// When a part cannot be read, or `to` cannot be written.
pub fn write(
    parts: impl Iterator<Item = Result<Vec<Column>, ReadError>>,
    format: FileFormat,
    to: impl Write + Send + 'static,
) -> Result<(), TableError> {
    match format {
        FileFormat::Csv => csv(parts, to),
        FileFormat::Json => json(parts, to),
        FileFormat::Parquet => parquet(parts, to),
    }
}

pub(super) fn csv(
    parts: impl Iterator<Item = Result<Vec<Column>, ReadError>>,
    to: impl Write,
) -> Result<(), TableError> {
    let mut csv = csv::Writer::from_writer(to);
    for (number, part) in parts.enumerate() {
        let part = part?;
        if number == 0 {
            csv.write_record(part.iter().map(|column| &column.name))?;
        }
        for row in 0..rows(&part) {
            csv.write_record(part.iter().map(|column| text(&column.values, row)))?;
        }
    }
    Ok(csv.flush()?)
}

fn json(
    parts: impl Iterator<Item = Result<Vec<Column>, ReadError>>,
    mut to: impl Write,
) -> Result<(), TableError> {
    let mut before = "[";
    for part in parts {
        let part = part?;
        for row in 0..rows(&part) {
            writeln!(to, "{before}")?;
            serde_json::to_writer(&mut to, &Row { part: &part, row })?;
            before = ",";
        }
    }
    let end = if before == "[" { "[]\n" } else { "\n]\n" };
    to.write_all(end.as_bytes())?;
    Ok(to.flush()?)
}

fn parquet(
    parts: impl Iterator<Item = Result<Vec<Column>, ReadError>>,
    to: impl Write + Send + 'static,
) -> Result<(), TableError> {
    let mut to = Some(to);
    let mut writer: Option<BatchedWriter<_>> = None;
    for part in parts {
        let part = part?;
        let frame = DataFrame::new(rows(&part), part.into_iter().map(series).collect())?;
        if let Some(to) = to.take() {
            writer = Some(ParquetWriter::new(to).batched(frame.schema())?);
        }
        if let Some(writer) = &mut writer {
            writer.write_batch(&frame)?;
        }
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    Ok(())
}

fn rows(part: &[Column]) -> usize {
    part.first().map_or(0, |column| column.values.len())
}

fn text(values: &Values, row: usize) -> String {
    fn cell<T: ToString>(cell: Option<&T>) -> String {
        cell.map(T::to_string).unwrap_or_default()
    }
    match values {
        Values::Text(cells) => cell(cells[row].as_ref()),
        Values::Flag(cells) => cell(cells[row].as_ref()),
        Values::Whole(cells) => cell(cells[row].as_ref()),
        // As short as it may be and still the same number: `1e300`, not 301 digits.
        Values::Number(cells) => cells[row].map(|number| format!("{number:?}")).unwrap_or_default(),
    }
}

/// A row, its cells in the order of the columns. Numbers that JSON has no word for, such as the loss of a
/// run that diverged, become `null`.
struct Row<'a> {
    part: &'a [Column],
    row: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.part.len()))?;
        for Column { name, values } in self.part {
            match values {
                Values::Text(cells) => map.serialize_entry(name, &cells[self.row])?,
                Values::Flag(cells) => map.serialize_entry(name, &cells[self.row])?,
                Values::Whole(cells) => map.serialize_entry(name, &cells[self.row])?,
                Values::Number(cells) => map.serialize_entry(name, &cells[self.row])?,
            }
        }
        map.end()
    }
}

fn series(Column { name, values }: Column) -> Series_ {
    let name = name.into();
    match values {
        Values::Text(cells) => Series::new(name, cells),
        Values::Flag(cells) => Series::new(name, cells),
        Values::Whole(cells) => Series::new(name, cells),
        Values::Number(cells) => Series::new(name, cells),
    }
    .into_column()
}

#[cfg(test)]
mod tests {
    use polars::prelude::{AnyValue, DataFrame, ParquetReader, SerReader as _};

    use super::*;
    use crate::tables::{Kind, parts};

    /// Names and types of the columns that `docs/tables.md` lists under a heading.
    fn documented(heading: &str) -> Vec<(String, String)> {
        let docs = include_str!("../../../../docs/tables.md");
        let section = docs.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
        rows.map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            (cells[1].to_owned(), cells[2].to_owned())
        })
        .collect()
    }

    fn through_parquet(parts: Vec<Vec<Column>>) -> DataFrame {
        let file = tempfile::NamedTempFile::new().unwrap();
        let to = file.reopen().unwrap();
        write(parts.into_iter().map(Ok), FileFormat::Parquet, to).unwrap();
        ParquetReader::new(file.reopen().unwrap()).finish().unwrap()
    }

    #[test]
    fn every_column_is_documented() {
        let kinds = [
            (Kind::Runs, "`--table runs`"),
            (Kind::Epochs, "`--table epochs`"),
            (Kind::Images, "`--table images`"),
        ];
        for (kind, heading) in kinds {
            let mut expected = documented("In every table");
            expected.extend(documented(heading));
            let frame = through_parquet(parts(kind, &[]).collect::<Result<_, _>>().unwrap());
            assert_eq!(frame.height(), 0);
            let columns: Vec<(String, String)> = frame
                .columns()
                .iter()
                .map(|column| {
                    let word = match column.dtype().to_string().as_str() {
                        "str" => "text",
                        "bool" => "yes or no",
                        "u64" => "whole",
                        "f64" => "number",
                        other => panic!("{other}"),
                    };
                    (column.name().to_string(), word.to_owned())
                })
                .collect();
            assert_eq!(columns, expected, "{kind:?}");
        }
    }

    #[test]
    fn what_is_written_part_by_part_is_read_back_as_one() {
        let part = |words: [Option<&str>; 2], numbers: [Option<f64>; 2]| {
            let text = words.map(|word| word.map(str::to_owned)).to_vec();
            vec![
                Column { name: "word".to_owned(), values: Values::Text(text) },
                Column { name: "number".to_owned(), values: Values::Number(numbers.to_vec()) },
            ]
        };
        let parts = vec![
            part([Some("a"), None], [Some(0.1), None]),
            part([Some("b,\n"), Some("")], [Some(f64::NAN), Some(1e300)]),
        ];
        let frame = through_parquet(parts.clone());
        assert_eq!(frame.height(), 4);
        let words = frame.column("word").unwrap();
        assert_eq!(words.get(1).unwrap(), AnyValue::Null);
        assert_eq!(words.get(2).unwrap().get_str(), Some("b,\n"));
        let numbers = frame.column("number").unwrap().f64().unwrap();
        assert_eq!(
            (numbers.get(0), numbers.get(1), numbers.get(3)),
            (Some(0.1), None, Some(1e300))
        );
        assert!(numbers.get(2).unwrap().is_nan());

        let mut csv = Vec::new();
        super::csv(parts.clone().into_iter().map(Ok), &mut csv).unwrap();
        insta::assert_snapshot!(String::from_utf8(csv).unwrap(), @r#"
        word,number
        a,0.1
        ,
        "b,
        ",NaN
        ,1e300
        "#);
        let mut json = Vec::new();
        super::json(parts.into_iter().map(Ok), &mut json).unwrap();
        let json: Vec<serde_json::Value> = serde_json::from_slice(&json).unwrap();
        let expected = [
            serde_json::json!({ "word": "a", "number": 0.1 }),
            serde_json::json!({ "word": null, "number": null }),
            serde_json::json!({ "word": "b,\n", "number": null }),
            serde_json::json!({ "word": "", "number": 1e300 }),
        ];
        assert_eq!(json, expected);
    }
}
