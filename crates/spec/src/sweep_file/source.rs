//! Texts that settings are written in: files, and `--set` on the command line.

use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use miette::NamedSource;

use super::error::Problem;
use super::keys::Keys;
use super::suggest::nearest;

/// A sweep file holds some dozens of lines; what is larger is another file, given by mistake.
const MAX_BYTES: u64 = 1 << 20;

/// A text that settings are written in.
#[derive(Debug)]
pub(super) struct Source {
    text: NamedSource<String>,
    folder: PathBuf,
    /// Its turn: problems are listed in the order of their texts.
    pub(super) order: usize,
}

/// Where something is written.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) source: Arc<Source>,
    /// Bytes of the text.
    pub(super) span: Range<usize>,
}

/// Goes through a text and gathers what is wrong with it.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) problems: &'a mut Vec<Problem>,
    /// What may be set.
    pub(super) keys: &'static Keys,
}

impl Source {
    /// `name` is for messages; relative paths in the text are relative to the absolute `folder`.
    pub(super) fn new(name: String, text: String, folder: PathBuf, order: usize) -> Arc<Self> {
        Arc::new(Self { text: NamedSource::new(name, text), folder, order })
    }

    /// The text of `file`.
    pub(super) fn read(file: &Path, order: usize) -> Result<Arc<Self>, Problem> {
        let name = file.display().to_string();
        let absolute = std::path::absolute(file).map_err(|error| unreadable(file, &error))?;
        let folder = lexical(absolute.parent().unwrap_or(Path::new("/")));
        let opened = fs_err::File::open(file).map_err(|error| unreadable(file, &error))?;
        let mut bytes = Vec::new();
        let read = opened.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(file, &error))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Problem::new(format!("{name} is larger than 1 MiB"))
                .with_help("a sweep file holds some dozens of lines: is it the right file?"));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text, folder, order)),
            Err(error) => {
                let start = error.utf8_error().valid_up_to();
                // Up to `start` the lossy text is the same, and there it has a replacement character.
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let source = Self::new(name, text, folder, order);
                let span = start..start + char::REPLACEMENT_CHARACTER.len_utf8();
                Err(Problem::new(format!("{} is not UTF-8", source.name()))
                    .at(&Place { source, span }, "no UTF-8 from here")
                    .with_help("save the file as UTF-8"))
            }
        }
    }

    /// What paths in it are relative to.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn name(&self) -> &str {
        self.text.name()
    }

    pub(super) fn text(&self) -> &str {
        self.text.inner()
    }

    pub(super) fn code(&self) -> &NamedSource<String> {
        &self.text
    }

    /// `path` as this text means it: absolute, with neither `.` nor `..` in it.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        lexical(&self.folder.join(path))
    }

    /// Line and column of a byte, from 1; columns count characters.
    pub(super) fn line_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text().get(..byte).unwrap_or(self.text());
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}

impl PartialEq for Source {
    /// A source is itself: two files may hold the same text.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Reader<'_> {
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        Place { source: self.source.clone(), span: span.clone() }
    }

    /// Notes a problem at `span`.
    pub(super) fn report(
        &mut self,
        span: &Range<usize>,
        label: impl Into<String>,
        problem: Problem,
    ) {
        let place = self.place(span);
        self.problems.push(problem.at(&place, label));
    }
}

/// `path` without `.` and `..`, by its spelling alone: the disk is not asked.
pub(super) fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match (component, plain.components().next_back()) {
            (Component::CurDir, _) | (Component::ParentDir, Some(Component::RootDir)) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                plain.pop();
            }
            _ => plain.push(component),
        }
    }
    plain
}

/// A file that cannot be read.
pub(super) fn unreadable(file: &Path, error: &io::Error) -> Problem {
    let name = file.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            let problem = Problem::new(format!("there is no file {name}"));
            match neighbour(file) {
                Some(neighbour) => {
                    problem.with_help(format!("did you mean {}?", neighbour.display()))
                }
                None => problem,
            }
        }
        io::ErrorKind::IsADirectory => {
            Problem::new(format!("{name} is a folder")).with_help("name a sweep file in it")
        }
        // fs_err names the path.
        _ => Problem::new(error.to_string()),
    }
}

/// The sweep file beside `file` with the most similar name.
fn neighbour(file: &Path) -> Option<PathBuf> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let stems: Vec<_> = fs_err::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    let stem = nearest(file.file_stem()?.to_str()?, stems.iter().map(String::as_str))?;
    Some(file.with_file_name(format!("{stem}.toml")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_by_their_spelling() {
        let cases = [
            ("/a/b/../c", "/a/c"),
            ("/a/./b/", "/a/b"),
            ("/a/../../b", "/b"),
            ("/..", "/"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("../../a/..", "../.."),
            ("./a", "a"),
        ];
        for (path, expected) in cases {
            assert_eq!(lexical(Path::new(path)), Path::new(expected), "{path}");
        }
    }
}
