//! Images: which there are, how they are decoded, how they are split.

mod decode;
mod folder;
mod jpeg;
mod resize;
mod split;
mod stream;

pub use decode::{DecodeError, decode, decode_all};
pub use folder::{Folder, FolderError, ImageFile};
pub use resize::Square;
pub use split::{Split, SplitError, split};
pub use stream::decode_in_batches;
