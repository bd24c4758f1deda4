//! The machine: which byte means which operation, and what operations take from and leave behind.
//! Opcodes: <https://github.com/python/cpython/blob/main/Lib/pickletools.py>.

use std::collections::HashMap;

use super::{Global, Id, MOST_VALUES, Pickle, PickleError, Storage, Value};

#[derive(Default)]
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) values: Vec<Value>,
    pub(super) stack: Vec<Id>,
    marks: Vec<usize>,
    pub(super) memo: HashMap<u32, Id>,
    pub(super) storages: Vec<Storage>,
    pub(super) storage_keys: HashMap<String, usize>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, ..Self::default() }
    }

    pub(super) fn run(mut self) -> Result<Pickle, PickleError> {
        loop {
            let start = self.at;
            let [opcode] = self.array()?;
            match opcode {
                b'.' => {
                    let top = self.pop()?;
                    let Self { values, storages, at: length, .. } = self;
                    return Ok(Pickle { values, top, storages, length });
                }
                // PROTO and FRAME say nothing that is needed.
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.marks.push(self.stack.len()),
                b'N' => self.push(Value::None)?,
                0x88 => self.push(Value::Bool(true))?,
                0x89 => self.push(Value::Bool(false))?,
                b'K' => self.unsigned::<1>()?,
                b'M' => self.unsigned::<2>()?,
                b'J' => {
                    let int = i32::from_le_bytes(self.array()?);
                    self.push(Value::Int(int.into()))?;
                }
                0x8a => self.long()?,
                b'G' => {
                    self.take(8)?;
                    self.push(Value::Float)?;
                }
                b'X' => self.text::<4>()?,
                0x8c => self.text::<1>()?,
                // The strings of Python 2.
                b'T' => self.text::<4>()?,
                b'U' => self.text::<1>()?,
                b')' => self.push(Value::Tuple(Vec::new()))?,
                0x85..=0x87 => {
                    let count = usize::from(opcode - 0x84);
                    let from = self.stack.len().checked_sub(count);
                    let items = self.stack.split_off(from.ok_or(self.empty())?);
                    self.push(Value::Tuple(items))?;
                }
                b't' => {
                    let items = self.since_mark()?;
                    self.push(Value::Tuple(items))?;
                }
                b']' => self.push(Value::List(Vec::new()))?,
                b'}' => self.push(Value::Dict(Vec::new()))?,
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.since_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set_items(&[key, value])?;
                }
                b'u' => {
                    let items = self.since_mark()?;
                    self.set_items(&items)?;
                }
                b'q' => {
                    let [place] = self.array()?;
                    self.remember(place.into())?;
                }
                b'r' => {
                    let place = u32::from_le_bytes(self.array()?);
                    self.remember(place)?;
                }
                0x94 => self.remember(self.memo.len() as u32)?,
                b'h' => {
                    let [place] = self.array()?;
                    self.recall(place.into())?;
                }
                b'j' => {
                    let place = u32::from_le_bytes(self.array()?);
                    self.recall(place)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Value::Global(Global::find(module, name)?))?;
                }
                0x93 => {
                    let (name, module) = (self.pop_text()?, self.pop_text()?);
                    self.push(Value::Global(Global::find(module, name)?))?;
                }
                b'Q' => self.storage()?,
                b'R' => self.call()?,
                b'b' => self.build()?,
                _ => return Err(PickleError::Opcode { opcode, at: start }),
            }
        }
    }

    pub(super) fn empty(&self) -> PickleError {
        PickleError::Stack { at: self.at }
    }

    pub(super) fn misuse(&self) -> PickleError {
        PickleError::Misuse { at: self.at }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&[u8], PickleError> {
        let end = self.at.checked_add(count).ok_or(PickleError::Short)?;
        let bytes = self.bytes.get(self.at..end).ok_or(PickleError::Short)?;
        self.at = end;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        self.take(N)?.try_into().map_err(|_| PickleError::Short)
    }

    /// A number of `N` bytes, least first.
    pub(super) fn number<const N: usize>(&mut self) -> Result<usize, PickleError> {
        Ok(self.array::<N>()?.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }

    pub(super) fn line(&mut self) -> Result<String, PickleError> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or(PickleError::Short)?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.at += end + 1;
        Ok(line)
    }

    pub(super) fn push(&mut self, value: Value) -> Result<(), PickleError> {
        if self.values.len() == MOST_VALUES {
            return Err(PickleError::TooMany);
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// What was put on the stack since the last mark stays there until the mark is taken.
    pub(super) fn pop(&mut self) -> Result<Id, PickleError> {
        let bottom = self.marks.last().copied().unwrap_or_default();
        if self.stack.len() <= bottom {
            return Err(self.empty());
        }
        self.stack.pop().ok_or(self.empty())
    }

    pub(super) fn since_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err(self.empty()),
        }
    }

    pub(super) fn pop_text(&mut self) -> Result<String, PickleError> {
        let id = self.pop()?;
        match &self.values[id] {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.misuse()),
        }
    }
}
