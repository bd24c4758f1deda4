//! Images: which there are, how they are decoded, how they are split.

mod decode;
mod folder;
mod split;

pub use decode::{DecodeError, Square, decode, decode_all};
pub use folder::{Folder, FolderError, ImageFile};
pub use split::{Split, SplitError, split};
