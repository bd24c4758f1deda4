//! Texts that settings are written in: files, and `--set` on the command line.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::NamedSource;

/// A text that settings are written in.
#[derive(Debug)]
pub(super) struct Source {
    text: NamedSource<String>,
    folder: PathBuf,
}

/// Where something is written.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) source: Arc<Source>,
    /// Bytes of the text.
    pub(super) span: Range<usize>,
}

impl PartialEq for Source {
    /// A source is itself: two files may hold the same text.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Source {
    /// `name` is for messages; relative paths in the text are relative to the absolute `folder`.
    pub(super) fn new(name: String, text: String, folder: PathBuf) -> Arc<Self> {
        Arc::new(Self { text: NamedSource::new(name, text), folder })
    }

    pub(super) fn name(&self) -> &str {
        self.text.name()
    }

    pub(super) fn text(&self) -> &str {
        self.text.inner()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn code(&self) -> &NamedSource<String> {
        &self.text
    }

    /// Line and column of a byte, from 1; columns count characters.
    pub(super) fn line_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text().get(..byte).unwrap_or(self.text());
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}
