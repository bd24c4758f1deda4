//! Many fits at once: heads of one dense layer on shared features.
//!
//! Runs on the same features differ in small things: seed, learning rate, patience. Each is a *lane*. A
//! step of one lane is a pass of a few microseconds over features that many lanes read; what libtorch
//! would spend on calling ten operations for it is a hundred times more. So the kernel here is our own,
//! on plain numbers, and threads train different lanes without ever waiting for each other.
//!
//! Lanes share what they read and nothing that they write, and a lane's sums are always taken in the
//! same order: its numbers are the same to the last bit alone and in any company, on any number of
//! threads. They are the same with vectors of any width too, where the compiler fuses a product and a sum
//! alike.

mod block;
mod columns;
mod fitting;
mod loss;
mod rule;
mod table;
mod vector;

pub use block::{Said, train};
pub use columns::{Columns, Snapshot, pass};
pub use fitting::{Answers, Material, Plan};
pub use loss::{Goal, Worth};
pub use table::Table;
