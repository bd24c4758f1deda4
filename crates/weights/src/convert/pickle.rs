//! The part of Python's pickle format that tensors in dictionaries need.
//!
//! A pickle is a program for a small stack machine, and most of what it can do is call things. This
//! machine calls nothing: names that it does not know are refused.

mod allowed;
mod machine;
mod operations;
#[cfg(test)]
mod tests;

use allowed::Global;
use machine::Machine;
use safetensors::Dtype;

/// A pickle that is refused.
#[derive(Debug, thiserror::Error, PartialEq)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PickleError {
    #[error("it ends in the middle of a pickle")]
    Short,
    #[error("its pickle has opcode {opcode:#04x} at byte {at}, which no state dict needs")]
    Opcode { opcode: u8, at: usize },
    #[error("its pickle takes from an empty stack at byte {at}")]
    Stack { at: usize },
    #[error("its pickle misuses a value at byte {at}")]
    Misuse { at: usize },
    #[error("it holds {module}.{name}; only tensors and dictionaries of them are admitted")]
    Global { module: String, name: String },
    #[error("its pickle has more than {MOST_VALUES} values")]
    TooMany,
    #[error("it holds a tensor of an odd form: {0}")]
    Tensor(String),
    #[error("it refers to something that is no storage at byte {at}")]
    Storage { at: usize },
    #[error("it describes storage {0:?} in two ways")]
    TwoStorages(String),
}

/// More values than any state dict needs.
const MOST_VALUES: usize = 1 << 20;

/// A value's place in [`Pickle::values`]. Values hold places and not each other, so that neither a
/// deep nest nor one value in many places costs more than the bytes that say so.
pub(super) type Id = usize;

/// What a pickle can make.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i128),
    /// A number whose value nobody here needs.
    Float,
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// A place in [`Pickle::storages`].
    Storage(usize),
    Tensor(Strided),
}

/// A flat run of elements that tensors look into. The pickle names it, the bytes come after.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) dtype: Dtype,
    pub(super) elements: usize,
}

/// A strided view of a storage. Offset and strides count elements.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Strided {
    pub(super) storage: usize,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// A pickle that was read.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) values: Vec<Value>,
    /// What the pickle comes to.
    pub(super) top: Id,
    pub(super) storages: Vec<Storage>,
    /// Bytes that it took.
    pub(super) length: usize,
}

impl Pickle {
    pub(super) fn top(&self) -> &Value {
        &self.values[self.top]
    }

    /// The value under a name in a dictionary; the last one, as in Python.
    pub(super) fn get(&self, dict: &Value, key: &str) -> Option<&Value> {
        let Value::Dict(items) = dict else { return None };
        let is_key = |name: Id| matches!(&self.values[name], Value::Text(text) if text == key);
        let found = items.iter().rev().find(|(name, _)| is_key(*name));
        found.map(|&(_, value)| &self.values[value])
    }
}

/// Reads the pickle that `bytes` begin with.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle, PickleError> {
    Machine::new(bytes).run()
}
