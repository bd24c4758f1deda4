//! A memory with a limit.

/// Values by key. When they take more than `most` bytes together, those not used for longest go.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    /// The most recently used one last.
    entries: Vec<Entry<K, V>>,
    most: usize,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    bytes: usize,
}

impl<K: PartialEq, V> Recent<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: Vec::new(), most }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        let at = self.entries.iter().position(|entry| entry.key == *key)?;
        self.entries[at..].rotate_left(1);
        self.entries.last().map(|entry| &entry.value)
    }

    /// Keeps `value`, which takes `bytes`, even when it alone takes more than the limit.
    pub(crate) fn insert(&mut self, key: K, value: V, bytes: usize) {
        self.entries.retain(|entry| entry.key != key);
        self.make_room(bytes);
        self.entries.push(Entry { key, value, bytes });
    }

    /// Lets go of values until one that takes `bytes` fits, or none is left.
    pub(crate) fn make_room(&mut self, bytes: usize) {
        let mut total = self.entries.iter().fold(bytes, |total, entry| total + entry.bytes);
        while total > self.most && !self.entries.is_empty() {
            total -= self.entries.remove(0).bytes;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut recent = Recent::new(10);
        recent.insert("a", 1, 4);
        recent.insert("b", 2, 4);
        assert_eq!(recent.get(&"a"), Some(&1));
        recent.insert("c", 3, 4);
        let mut kept = |keys: [&'static str; 2]| keys.map(|key| recent.get(&key).copied());
        assert_eq!(kept(["b", "a"]), [None, Some(1)]);
        recent.insert("d", 4, 40);
        assert_eq!([recent.get(&"c").copied(), recent.get(&"d").copied()], [None, Some(4)]);
        recent.make_room(1);
        assert_eq!(recent.get(&"d"), None);
    }
}
