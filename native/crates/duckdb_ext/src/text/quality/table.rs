//! A table of hashes that is emptied in constant time, for the many small sets of one text.

/// Open addressing with linear probing. A slot belongs to the table only when its generation is the
/// current one.
#[derive(Debug, Default)]
pub struct Table {
    slots: Vec<Slot>,
    generation: u32,
    used: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Slot {
    hash: u64,
    generation: u32,
    value: u32,
}

impl Table {
    /// Empties the table and makes room for `entries`.
    pub fn reset(&mut self, entries: usize) {
        let size = (entries * 2).next_power_of_two().max(64);
        self.used = 0;
        if self.slots.len() < size || self.generation == u32::MAX {
            self.slots = vec![Slot::default(); size.max(self.slots.len())];
            self.generation = 0;
        }
        self.generation += 1;
    }

    /// The value kept for `hash`; when there is none yet, keeps the one given and returns `None`.
    /// At most as many different hashes may be kept as `reset` made room for.
    pub fn insert(&mut self, hash: u64, value: u32) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut index = (hash ^ (hash >> 32)) as usize & mask;
        loop {
            let slot = &mut self.slots[index];
            if slot.generation != self.generation {
                *slot = Slot { hash, generation: self.generation, value };
                self.used += 1;
                debug_assert!(self.used < self.slots.len(), "the table is full");
                return None;
            }
            if slot.hash == hash {
                return Some(slot.value);
            }
            index = (index + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn keeps_the_first_value_until_reset() {
        let mut table = Table::default();
        table.reset(1000);
        for hash in 0..1000 {
            assert_eq!(table.insert(hash * 64, hash as u32), None);
        }
        for hash in 0..1000 {
            assert_eq!(table.insert(hash * 64, 7), Some(hash as u32));
        }
        table.reset(10);
        assert_eq!(table.insert(64, 1), None);
    }
}
