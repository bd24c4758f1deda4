//! Everything that is wrong with a sweep file, each with the place it is written.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, LabeledSpan, SourceCode};

use super::source::Place;

/// A sweep file that cannot be used: all problems found in it, in the files it extends and in the
/// overrides.
///
/// Rendered as a [`Diagnostic`], one problem stands for itself and several are listed under a
/// heading.
#[derive(Debug, Clone)]
pub struct LoadError {
    file: PathBuf,
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    message: String,
    help: Option<String>,
    labels: Vec<(Place, String)>,
}

impl LoadError {
    /// `problems` must not be empty.
    pub(super) fn new(file: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| {
            problem.place().map(|place| (place.source.order, place.span.start))
        });
        Self { file: file.to_owned(), problems }
    }

    /// What is wrong, at least one thing, in the order of the places.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The only problem, if there is but one.
    fn only(&self) -> Option<&Problem> {
        match self.problems.as_slice() {
            [problem] => Some(problem),
            _ => None,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.only() {
            Some(problem) => problem.fmt(f),
            None => write!(f, "{} has {} problems", self.file.display(), self.problems.len()),
        }
    }
}

impl Error for LoadError {}

impl Diagnostic for LoadError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.only()?.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.only()?.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.only()?.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        match self.only() {
            Some(_) => None,
            None => Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic))),
        }
    }
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, labels: Vec::new() }
    }

    /// The place that is wrong comes first; those that explain it follow.
    pub(super) fn at(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.labels.push((place.clone(), label.into()));
        self
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The file as messages name it (`--set` for the command line); absent when the file itself
    /// cannot be read.
    pub fn file(&self) -> Option<&str> {
        Some(self.place()?.source.name())
    }

    /// Line and column in that file, from 1; columns count characters.
    pub fn line_column(&self) -> Option<(usize, usize)> {
        let place = self.place()?;
        Some(place.source.line_column(place.span.start))
    }

    /// Whether `place` is in the text that the problem is mainly in.
    fn is_shown(&self, place: &Place) -> bool {
        self.place().is_some_and(|first| first.source == place.source)
    }

    fn place(&self) -> Option<&Place> {
        self.labels.first().map(|(place, _)| place)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        // A snippet shows one text; places in another are told in words.
        let elsewhere = self.labels.iter().filter(|(place, _)| !self.is_shown(place));
        let elsewhere = elsewhere.map(|(place, label)| {
            let (line, column) = place.source.line_column(place.span.start);
            format!("{label}: {}:{line}:{column}", place.source.name())
        });
        let lines: Vec<_> = elsewhere.chain(self.help.clone()).collect();
        (!lines.is_empty()).then(|| Box::new(lines.join("\n")) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.place()?.source.code())
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let shown = self.labels.iter().filter(|(place, _)| self.is_shown(place));
        Some(Box::new(shown.enumerate().map(|(index, (place, label))| {
            let (label, span) = (Some(label.clone()), place.span.clone());
            if index == 0 {
                LabeledSpan::new_primary_with_span(label, span)
            } else {
                LabeledSpan::new_with_span(label, span)
            }
        })))
    }
}
