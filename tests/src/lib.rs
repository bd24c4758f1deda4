//! End-to-end tests of the real `sweep` binary.
//!
//! The tests are in `tests/`; this library is what they and the fake worker agree on.

pub mod script;
