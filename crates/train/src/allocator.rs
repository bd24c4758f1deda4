//! Keeping memory instead of giving it back between layers.
//!
//! Every layer of a network allocates its output and frees its input: tens of megabytes each time.
//! glibc serves such sizes by `mmap` and returns them with `munmap`, so that each layer pays for
//! fresh, zeroed pages; on CPU that is more than half of a backbone's time. Kept in the heap, the same
//! pages serve layer after layer.

use libc::{M_MMAP_MAX, M_TOP_PAD, M_TRIM_THRESHOLD, c_int, mallopt};

/// Grown by this at a time, in bytes.
const GROWTH: c_int = 256 << 20;

/// Tells glibc's allocator to serve large tensors from the heap and to keep what is freed there.
/// Called once, before the first tensor.
pub fn keep_memory() {
    for (option, value) in [(M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, c_int::MAX), (M_TOP_PAD, GROWTH)] {
        // SAFETY: `mallopt` takes two numbers and changes settings of the allocator, which is made to
        // be told so at any time. A refusal (0) leaves the setting as it was: slower, not wrong.
        #[expect(unsafe_code, reason = "a call into C")]
        let _ = unsafe { mallopt(option, value) };
    }
}
