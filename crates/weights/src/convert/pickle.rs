//! The part of Python's pickle format that tensors in dictionaries need.
//!
//! A pickle is a program for a small stack machine, and most of what it can do is call things. This
//! machine calls nothing: names that it does not know are refused. Opcodes:
//! <https://github.com/python/cpython/blob/main/Lib/pickletools.py>.

use std::collections::HashMap;

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

/// What a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    Size,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
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
    Machine { bytes, ..Machine::default() }.run()
}

#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    storages: Vec<Storage>,
    storage_keys: HashMap<String, usize>,
}

impl Machine<'_> {
    fn run(mut self) -> Result<Pickle, PickleError> {
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
                    self.global(module, name)?;
                }
                0x93 => {
                    let (name, module) = (self.pop_text()?, self.pop_text()?);
                    self.global(module, name)?;
                }
                b'Q' => self.storage()?,
                b'R' => self.call()?,
                b'b' => self.build()?,
                _ => return Err(PickleError::Opcode { opcode, at: start }),
            }
        }
    }

    fn empty(&self) -> PickleError {
        PickleError::Stack { at: self.at }
    }

    fn misuse(&self) -> PickleError {
        PickleError::Misuse { at: self.at }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], PickleError> {
        let end = self.at.checked_add(count).ok_or(PickleError::Short)?;
        let bytes = self.bytes.get(self.at..end).ok_or(PickleError::Short)?;
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        self.take(N)?.try_into().map_err(|_| PickleError::Short)
    }

    /// A number of `N` bytes, least first.
    fn number<const N: usize>(&mut self) -> Result<usize, PickleError> {
        Ok(self.array::<N>()?.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }

    fn line(&mut self) -> Result<String, PickleError> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or(PickleError::Short)?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.at += end + 1;
        Ok(line)
    }

    fn push(&mut self, value: Value) -> Result<(), PickleError> {
        if self.values.len() == MOST_VALUES {
            return Err(PickleError::TooMany);
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// What was put on the stack since the last mark stays there until the mark is taken.
    fn pop(&mut self) -> Result<Id, PickleError> {
        let bottom = self.marks.last().copied().unwrap_or_default();
        if self.stack.len() <= bottom {
            return Err(self.empty());
        }
        self.stack.pop().ok_or(self.empty())
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err(self.empty()),
        }
    }

    fn unsigned<const N: usize>(&mut self) -> Result<(), PickleError> {
        let number = self.number::<N>()?;
        self.push(Value::Int(number as i128))
    }

    /// An integer in two's complement, its length before it.
    fn long(&mut self) -> Result<(), PickleError> {
        let length = self.number::<1>()?;
        let misuse = self.misuse();
        let bytes = self.take(length)?;
        let sign = if bytes.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
        let mut wide = [sign; 16];
        wide.get_mut(..length).ok_or(misuse)?.copy_from_slice(bytes);
        self.push(Value::Int(i128::from_le_bytes(wide)))
    }

    fn text<const N: usize>(&mut self) -> Result<(), PickleError> {
        let length = self.number::<N>()?;
        let misuse = self.misuse();
        let text = String::from_utf8(self.take(length)?.to_vec()).map_err(|_| misuse)?;
        self.push(Value::Text(text))
    }

    fn pop_text(&mut self) -> Result<String, PickleError> {
        let id = self.pop()?;
        match &self.values[id] {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.misuse()),
        }
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), PickleError> {
        let (top, misuse) = (*self.stack.last().ok_or(self.empty())?, self.misuse());
        let Value::List(list) = &mut self.values[top] else { return Err(misuse) };
        list.extend(items);
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), PickleError> {
        let (top, misuse) = (*self.stack.last().ok_or(self.empty())?, self.misuse());
        let (pairs, []) = items.as_chunks() else { return Err(misuse) };
        let Value::Dict(dict) = &mut self.values[top] else { return Err(misuse) };
        dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Result<(), PickleError> {
        let top = *self.stack.last().ok_or(self.empty())?;
        if self.memo.len() == MOST_VALUES {
            return Err(PickleError::TooMany);
        }
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), PickleError> {
        self.stack.push(*self.memo.get(&place).ok_or(self.misuse())?);
        Ok(())
    }

    fn global(&mut self, module: String, name: String) -> Result<(), PickleError> {
        let global = match (module.as_str(), name.as_str()) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch", "Size") => Global::Size,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", "DoubleStorage") => Global::Storage(Dtype::F64),
            ("torch", "FloatStorage") => Global::Storage(Dtype::F32),
            ("torch", "HalfStorage") => Global::Storage(Dtype::F16),
            ("torch", "BFloat16Storage") => Global::Storage(Dtype::BF16),
            ("torch", "LongStorage") => Global::Storage(Dtype::I64),
            ("torch", "IntStorage") => Global::Storage(Dtype::I32),
            ("torch", "ShortStorage") => Global::Storage(Dtype::I16),
            ("torch", "CharStorage") => Global::Storage(Dtype::I8),
            ("torch", "ByteStorage") => Global::Storage(Dtype::U8),
            ("torch", "BoolStorage") => Global::Storage(Dtype::BOOL),
            _ => return Err(PickleError::Global { module, name }),
        };
        self.push(Value::Global(global))
    }

    /// `("storage", type, key, location, elements)`. Legacy files add whether it is a view of another
    /// one, which PyTorch has not written since 0.4.
    fn storage(&mut self) -> Result<(), PickleError> {
        let refused = PickleError::Storage { at: self.at };
        let id = self.pop()?;
        let Value::Tuple(fields) = &self.values[id] else { return Err(refused) };
        let fields: Vec<&Value> = fields.iter().map(|&field| &self.values[field]).collect();
        let (
            Value::Text(word),
            Value::Global(Global::Storage(dtype)),
            Value::Text(key),
            _,
            Value::Int(elements),
        ) = (match fields[..] {
            [a, b, c, d, e] | [a, b, c, d, e, Value::None] => (a, b, c, d, e),
            _ => return Err(refused),
        })
        else {
            return Err(refused);
        };
        let (Ok(elements), "storage") = (usize::try_from(*elements), word.as_str()) else {
            return Err(refused);
        };
        let storage = Storage { key: key.clone(), dtype: *dtype, elements };
        let place = match self.storage_keys.get(&storage.key) {
            Some(&place) if self.storages[place] == storage => place,
            Some(_) => return Err(PickleError::TwoStorages(storage.key)),
            None => {
                self.storage_keys.insert(storage.key.clone(), self.storages.len());
                self.storages.push(storage);
                self.storages.len() - 1
            }
        };
        self.push(Value::Storage(place))
    }

    /// A call of one of the few things that can be named.
    fn call(&mut self) -> Result<(), PickleError> {
        let (arguments, callee, misuse) = (self.pop()?, self.pop()?, self.misuse());
        let (Value::Global(callee), Value::Tuple(arguments)) =
            (&self.values[callee], &self.values[arguments])
        else {
            return Err(misuse);
        };
        let made = match (callee, &arguments[..]) {
            (Global::OrderedDict, []) => Value::Dict(Vec::new()),
            (Global::Size, [dimensions, ..]) => Value::Tuple(self.items(*dimensions)?.to_vec()),
            (Global::RebuildTensor, [storage, offset, shape, strides, ..]) => {
                Value::Tensor(self.tensor(*storage, *offset, *shape, *strides)?)
            }
            (Global::RebuildParameter, [tensor, ..]) => {
                self.stack.push(*tensor);
                return Ok(());
            }
            _ => return Err(misuse),
        };
        self.push(made)
    }

    fn items(&self, id: Id) -> Result<&[Id], PickleError> {
        match &self.values[id] {
            Value::Tuple(items) | Value::List(items) => Ok(items),
            _ => Err(self.misuse()),
        }
    }

    fn tensor(
        &self,
        storage: Id,
        offset: Id,
        shape: Id,
        strides: Id,
    ) -> Result<Strided, PickleError> {
        let Value::Storage(storage) = self.values[storage] else { return Err(self.misuse()) };
        let number = |id: Id| match &self.values[id] {
            Value::Int(number) => usize::try_from(*number)
                .map_err(|_| PickleError::Tensor(format!("{number} as a size or a stride"))),
            other => Err(PickleError::Tensor(format!("{other:?} as a size or a stride"))),
        };
        let numbers =
            |id| self.items(id)?.iter().map(|&id| number(id)).collect::<Result<Vec<_>, _>>();
        let (offset, shape, strides) = (number(offset)?, numbers(shape)?, numbers(strides)?);
        if shape.len() != strides.len() || shape.len() > 32 {
            return Err(PickleError::Tensor(format!("shape {shape:?} with strides {strides:?}")));
        }
        Ok(Strided { storage, offset, shape, strides })
    }

    /// Attributes that a module hangs on its state dict; nothing here needs them.
    fn build(&mut self) -> Result<(), PickleError> {
        self.pop()?;
        let top = *self.stack.last().ok_or(self.empty())?;
        match &self.values[top] {
            Value::Dict(_) => Ok(()),
            _ => Err(self.misuse()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn top(bytes: &[u8]) -> Result<Value, PickleError> {
        read(bytes).map(|pickle| pickle.top().clone())
    }

    #[test]
    fn plain_values_are_read() {
        assert_eq!(top(b"\x80\x02K\x07."), Ok(Value::Int(7)));
        assert_eq!(top(b"J\xff\xff\xff\xff."), Ok(Value::Int(-1)));
        assert_eq!(top(b"\x8a\x02\x00\xff."), Ok(Value::Int(-256)));
        assert_eq!(top(b"X\x02\0\0\0ab."), Ok(Value::Text("ab".to_owned())));
    }

    #[test]
    fn nothing_is_called() {
        let system = top(b"cos\nsystem\n(X\x02\0\0\0lstR.").unwrap_err();
        assert_eq!(system, PickleError::Global { module: "os".into(), name: "system".into() });
        let eval = top(b"\x8c\x08builtins\x8c\x04eval\x93.").unwrap_err();
        assert_eq!(
            eval.to_string(),
            "it holds builtins.eval; only tensors and dictionaries of them are admitted"
        );
        // NEWOBJ, INST and OBJ make objects too.
        for opcode in *b"\x81\x92io\x82P" {
            let error = top(&[b'N', b'N', opcode, b'.']).unwrap_err();
            assert_eq!(error, PickleError::Opcode { opcode, at: 2 });
        }
    }

    #[test]
    fn broken_pickles_are_refused() {
        for (bytes, error) in [
            (&b""[..], PickleError::Short),
            (b"X\xff\xff\xff\xffab.", PickleError::Short),
            (b".", PickleError::Stack { at: 1 }),
            (b"(a", PickleError::Stack { at: 2 }),
            (b"t", PickleError::Stack { at: 1 }),
            (b"N)R", PickleError::Misuse { at: 3 }),
            (b"}(Nu", PickleError::Misuse { at: 4 }),
            (b"h\x01", PickleError::Misuse { at: 2 }),
            (b"NQ", PickleError::Storage { at: 2 }),
        ] {
            assert_eq!(read(bytes).unwrap_err(), error, "{bytes:?}");
        }
    }

    #[test]
    fn a_deep_nest_and_a_flood_cost_little() {
        let deep = [&b")"[..], &vec![0x85; 1 << 19], b"."].concat();
        assert!(matches!(top(&deep), Ok(Value::Tuple(_))));
        let flood = vec![b'N'; MOST_VALUES + 1];
        assert_eq!(top(&flood), Err(PickleError::TooMany));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
