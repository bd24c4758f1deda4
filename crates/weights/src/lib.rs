//! Weights files without libtorch: which are known, where they lie, what is in them, and how a
//! checkpoint of PyTorch or Keras becomes one.

pub mod aside;
pub mod convert;
pub mod folder;
pub mod hub;
pub mod inspect;
pub mod known;

/// Larger files are refused unread: the largest backbone takes 0.2 GiB, and whatever a file claims,
/// no more memory than this is given to it.
pub const MOST_BYTES: u64 = 2 << 30;
