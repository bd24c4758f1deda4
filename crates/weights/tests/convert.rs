//! Checkpoints that PyTorch and Keras wrote (`scripts/weights_fixtures.py`) come out as they went in.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors};
use weights::convert::{ConvertError, convert};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The bytes of the safetensors file that `name` becomes.
fn converted(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    // A weights folder that nobody has made yet.
    let weights = folder.path().join("sweep/weights");
    let to = weights.join("out.safetensors");
    convert(&fixture(name), &to).unwrap();
    assert_eq!(fs_err::read_dir(&weights).unwrap().count(), 1, "nothing is left beside it");
    fs_err::read(to).unwrap()
}

/// Every tensor by name and shape; its numbers are compared with the script's rule.
fn tensors(bytes: &[u8]) -> Vec<(String, Vec<usize>)> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        let numbers: Vec<f64> = match view.dtype() {
            Dtype::F16 => {
                view.data().as_chunks().0.iter().map(|b| half(u16::from_le_bytes(*b))).collect()
            }
            Dtype::F32 => {
                view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b).into()).collect()
            }
            Dtype::F64 => {
                view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
            }
            Dtype::I64 => {
                view.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect()
            }
            other => panic!("{name} is {other:?}"),
        };
        let rule = |at: usize| at as f64 / 4.0 + name.len() as f64;
        assert_eq!(numbers, (0..numbers.len()).map(rule).collect::<Vec<_>>(), "{name}");
        tensors.push((name.to_owned(), view.shape().to_vec()));
    }
    tensors.sort();
    tensors
}

/// A positive normal half.
fn half(bits: u16) -> f64 {
    (1.0 + f64::from(bits & 0x3ff) / 1024.0) * 2f64.powi(i32::from(bits >> 10) - 15)
}

fn listed(name: &str) -> String {
    let tensors = tensors(&converted(name));
    tensors.iter().map(|(name, shape)| format!("{name} {shape:?}\n")).collect()
}

#[test]
fn every_format_of_pytorch_is_read() {
    let zip = listed("zip.pth");
    insta::assert_snapshot!(zip, @"
    bn.num_batches_tracked []
    conv.bias [2]
    conv.weight [2, 3, 2, 2]
    double [3]
    every_other [3]
    half [3]
    nothing [0, 3]
    turned [2, 3]
    ");
    for other in ["legacy.pth", "protocol4.pth", "wrapped.pth"] {
        assert_eq!(listed(other), zip, "{other}");
        assert_eq!(converted(other), converted("zip.pth"), "the same tensors, the same bytes");
    }
}

#[test]
fn every_format_of_keras_is_read() {
    let current = listed("keras3.weights.h5");
    insta::assert_snapshot!(current, @"
    conv1_bn/beta [2]
    conv1_bn/gamma [2]
    conv1_bn/moving_mean [2]
    conv1_bn/moving_variance [2]
    conv1_conv/bias [2]
    conv1_conv/kernel [2, 2, 1, 2]
    inner_conv/kernel [2, 2, 2, 2]
    plain_bn/beta [2]
    plain_bn/moving_mean [2]
    plain_bn/moving_variance [2]
    predictions/bias [1]
    predictions/kernel [2, 1]
    ");
    for other in ["keras3.keras", "whole_model.h5", "applications.h5"] {
        assert_eq!(listed(other), current, "{other}");
        assert_eq!(converted(other), converted("keras3.weights.h5"), "{other}");
    }
}

/// What is said of a file with these bytes; nothing is written.
fn refused(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("in"), folder.path().join("out"));
    fs_err::write(&from, bytes).unwrap();
    let error = convert(&from, &to).unwrap_err();
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1, "{error}");
    error.to_string().replace(folder.path().to_str().unwrap(), "[DIR]")
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let whole = fs_err::read(fixture("whole_model.pth")).unwrap();
    insta::assert_snapshot!(refused(&whole), @"[DIR]/in: it holds torch.nn.modules.linear.Linear; only tensors and dictionaries of them are admitted");
    insta::assert_snapshot!(refused(b"no checkpoint"), @"[DIR]/in is neither a PyTorch checkpoint nor a Keras file (.h5, .keras)");
    insta::assert_snapshot!(refused(&converted("zip.pth")), @"[DIR]/in is a safetensors file already");
    let missing = convert(Path::new("nowhere.pth"), Path::new("out")).unwrap_err();
    assert!(matches!(missing, ConvertError::Inspect(_)), "{missing}");
}

#[test]
fn a_checkpoint_that_is_cut_short_is_refused_wherever_it_ends() {
    for name in ["zip.pth", "legacy.pth", "keras3.weights.h5", "keras3.keras"] {
        let bytes = fs_err::read(fixture(name)).unwrap();
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 97) {
            refused(&bytes[..end]);
        }
    }
}

proptest! {
    #[test]
    fn no_change_of_bytes_makes_it_panic(
        name in prop::sample::select(vec!["zip.pth", "legacy.pth", "keras3.weights.h5", "applications.h5"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = fs_err::read(fixture(name)).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("in");
        fs_err::write(&from, bytes).unwrap();
        let _ = convert(&from, &folder.path().join("out"));
    }
}
