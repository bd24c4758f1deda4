//! The folder that a set of photographs becomes.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use synth::{Plates, WriteError};

/// Few and small, but with both splits and both classes.
const FEW: Plates = Plates { seed: 1, train: 4, test: 6, size: (64, 48) };

/// Every file below a folder: its path and its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(at, b)| (format!("{name}/{at}"), b)));
        } else {
            found.insert(name, fs_err::read(&path).unwrap());
        }
    }
    found
}

fn generate(plates: &Plates) -> BTreeMap<String, Vec<u8>> {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("plates");
    plates.write(&folder, &|_| {}).unwrap();
    files(&folder)
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let first = generate(&FEW);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert!(first == one_thread.install(|| generate(&FEW)));
    let other = generate(&Plates { seed: 2, ..FEW });
    assert!(first.values().all(|bytes| !other.values().any(|b| b == bytes)));
}

#[test]
fn fewer_photographs_are_a_part_of_more() {
    let few = generate(&FEW);
    let more = generate(&Plates { train: 7, test: 9, ..FEW });
    assert_eq!(more.len(), 16);
    for (file, bytes) in few {
        assert!(more.get(&file) == Some(&bytes), "{file} changed");
    }
}

#[test]
fn half_of_each_split_is_dirty_and_numbers_are_unique() {
    let found = generate(&FEW);
    let within = |folder: &str| found.keys().filter(|file| file.starts_with(folder)).count();
    assert_eq!(within("train/cleaned/"), 2);
    assert_eq!(within("train/dirty/"), 2);
    assert_eq!(within("test/cleaned/"), 3);
    assert_eq!(within("test/dirty/"), 3);
    let mut numbers: Vec<&str> =
        found.keys().filter_map(|file| file.strip_prefix("test/")?.split('/').nth(1)).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, ["0000.jpg", "0001.jpg", "0002.jpg", "0003.jpg", "0004.jpg", "0005.jpg"]);
}

#[test]
fn progress_counts_every_photograph() {
    let home = tempfile::tempdir().unwrap();
    let (calls, most) = (AtomicU64::new(0), AtomicU64::new(0));
    FEW.write(&home.path().join("plates"), &|done| {
        calls.fetch_add(1, Ordering::Relaxed);
        most.fetch_max(done, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(calls.into_inner(), FEW.count());
    assert_eq!(most.into_inner(), FEW.count());
}

#[test]
fn an_existing_folder_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs_err::write(home.path().join("mine"), "keep").unwrap();
    let error = FEW.write(&home.path().join("mine"), &|_| {}).unwrap_err();
    assert!(matches!(error, WriteError::Exists { .. }));
    assert!(error.to_string().contains("mine already exists"), "{error}");
    assert_eq!(fs_err::read(home.path().join("mine")).unwrap(), b"keep");
    assert_eq!(files(home.path()).len(), 1);
}

#[test]
fn what_an_interrupted_call_left_is_removed() {
    let home = tempfile::tempdir().unwrap();
    let left = home.path().join(".plates.partial/test/dirty");
    fs_err::create_dir_all(&left).unwrap();
    fs_err::write(left.join("9999.jpg"), "half a photogr").unwrap();
    FEW.write(&home.path().join("plates"), &|_| {}).unwrap();
    let found = files(home.path());
    assert_eq!(found.len() as u64, FEW.count());
    assert!(found.keys().all(|file| file.starts_with("plates/") && !file.ends_with("9999.jpg")));
}

#[test]
fn a_failed_call_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let impossible = Plates { size: (70_000, 1), ..FEW };
    let error = impossible.write(&home.path().join("plates"), &|_| {}).unwrap_err();
    assert!(matches!(error, WriteError::Encode { .. }), "{error}");
    assert_eq!(fs_err::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn photographs_are_jpeg_of_the_size_asked_for() {
    for (file, bytes) in generate(&FEW) {
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), FEW.size, "{file}");
    }
}
