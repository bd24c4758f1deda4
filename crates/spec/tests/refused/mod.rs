//! Files that are refused, and what is said about them.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use miette::{GraphicalReportHandler, GraphicalTheme};
use spec::sweep_file::LoadError;

/// A folder of these files, `(name, text)`, relative to the working directory, so that messages are as
/// long on every machine.
pub(crate) fn folder(files: &[(&str, &str)]) -> PathBuf {
    static ROOT: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let root = tempfile::tempdir().unwrap();
        std::env::set_current_dir(root.path()).unwrap();
        root
    });
    static NEXT: AtomicUsize = AtomicUsize::new(100);
    LazyLock::force(&ROOT);
    let folder = PathBuf::from(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
    fs_err::create_dir(&folder).unwrap();
    for (name, text) in files {
        fs_err::write(folder.join(name), text).unwrap();
    }
    folder
}

/// What is said about a file in `folder`, without the folder.
pub(crate) fn rendered(error: &LoadError, folder: &Path) -> String {
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .with_links(false)
        .render_report(&mut text, error)
        .unwrap();
    text.replace(&format!("{}/", folder.display()), "")
}
