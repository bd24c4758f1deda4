//! The operations: how values are made of bytes and of other values.

use super::machine::Machine;
use super::{Global, Id, MOST_VALUES, PickleError, Storage, Strided, Value};

impl Machine<'_> {
    pub(super) fn unsigned<const N: usize>(&mut self) -> Result<(), PickleError> {
        let number = self.number::<N>()?;
        self.push(Value::Int(number as i128))
    }

    /// An integer in two's complement, its length before it.
    pub(super) fn long(&mut self) -> Result<(), PickleError> {
        let length = self.number::<1>()?;
        let misuse = self.misuse();
        let bytes = self.take(length)?;
        let sign = if bytes.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
        let mut wide = [sign; 16];
        wide.get_mut(..length).ok_or(misuse)?.copy_from_slice(bytes);
        self.push(Value::Int(i128::from_le_bytes(wide)))
    }

    pub(super) fn text<const N: usize>(&mut self) -> Result<(), PickleError> {
        let length = self.number::<N>()?;
        let misuse = self.misuse();
        let text = String::from_utf8(self.take(length)?.to_vec()).map_err(|_| misuse)?;
        self.push(Value::Text(text))
    }

    pub(super) fn append(&mut self, items: Vec<Id>) -> Result<(), PickleError> {
        let (top, misuse) = (*self.stack.last().ok_or(self.empty())?, self.misuse());
        let Value::List(list) = &mut self.values[top] else { return Err(misuse) };
        list.extend(items);
        Ok(())
    }

    pub(super) fn set_items(&mut self, items: &[Id]) -> Result<(), PickleError> {
        let (top, misuse) = (*self.stack.last().ok_or(self.empty())?, self.misuse());
        let (pairs, []) = items.as_chunks() else { return Err(misuse) };
        let Value::Dict(dict) = &mut self.values[top] else { return Err(misuse) };
        dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    pub(super) fn remember(&mut self, place: u32) -> Result<(), PickleError> {
        let top = *self.stack.last().ok_or(self.empty())?;
        if self.memo.len() == MOST_VALUES {
            return Err(PickleError::TooMany);
        }
        self.memo.insert(place, top);
        Ok(())
    }

    pub(super) fn recall(&mut self, place: u32) -> Result<(), PickleError> {
        self.stack.push(*self.memo.get(&place).ok_or(self.misuse())?);
        Ok(())
    }

    /// `("storage", type, key, location, elements)`. Legacy files add whether it is a view of another
    /// one, which PyTorch has not written since 0.4.
    pub(super) fn storage(&mut self) -> Result<(), PickleError> {
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
    pub(super) fn call(&mut self) -> Result<(), PickleError> {
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
    pub(super) fn build(&mut self) -> Result<(), PickleError> {
        self.pop()?;
        let top = *self.stack.last().ok_or(self.empty())?;
        match &self.values[top] {
            Value::Dict(_) => Ok(()),
            _ => Err(self.misuse()),
        }
    }
}
