//! End-to-end tests of the real `sweep` binary.
