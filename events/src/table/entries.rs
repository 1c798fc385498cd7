//! The entries of a table, by number. They lie in pieces: a table that grows to millions never moves them, which would take
//! as much memory again, each page of it anew, and keep whoever waits for the fold waiting.
//!
//! **Invariant:** every piece but the last is full, and none is empty.

/// Entries of a piece. The first piece grows to it, so that small tables take little memory.
const PIECE: usize = 1024;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Entries<T> {
    pieces: Vec<Vec<T>>,
    count: usize,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self { pieces: vec![], count: 0 }
    }
}

impl<T> Entries<T> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The entry with this number.
    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.pieces.get(number / PIECE)?.get(number % PIECE)
    }

    /// The entry with this number, to change it.
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.pieces.get_mut(number / PIECE)?.get_mut(number % PIECE)
    }

    /// The one with the highest number.
    pub(super) fn last(&self) -> Option<&T> {
        self.pieces.last()?.last()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    /// Takes one more.
    pub(super) fn push(&mut self, entry: T) {
        if self.count.is_multiple_of(PIECE) {
            let capacity = if self.count == 0 { 0 } else { PIECE };
            self.pieces.push(Vec::with_capacity(capacity));
        }
        self.count += 1;
        self.pieces.last_mut().expect("there is a piece with room").push(entry);
    }

    /// Takes one out; the last gets its number.
    pub(super) fn swap_remove(&mut self, number: usize) -> Option<T> {
        let piece = self.pieces.last_mut()?;
        let last = piece.pop()?;
        if piece.is_empty() {
            self.pieces.pop();
        }
        self.count -= 1;
        if number == self.count { Some(last) } else { Some(std::mem::replace(self.get_mut(number)?, last)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same as a vector does.
    fn same(entries: &Entries<usize>, vector: &[usize]) {
        assert_eq!(entries.len(), vector.len());
        assert!(entries.iter().eq(vector));
        assert_eq!(entries.last(), vector.last());
        assert!((0..=vector.len()).all(|number| entries.get(number) == vector.get(number)));
        let pieces = entries.pieces.split_last().map_or(&[][..], |(_, full)| full);
        assert!(pieces.iter().all(|piece| piece.len() == PIECE && piece.capacity() == PIECE));
    }

    proptest! {
        #[test]
        fn entries_are_where_a_vector_would_have_them(
            pushed in 0..3 * PIECE,
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..2000),
        ) {
            let (mut entries, mut vector) = (Entries::default(), vec![]);
            for value in 0..pushed {
                entries.push(value);
                vector.push(value);
            }
            same(&entries, &vector);
            for removed in removed {
                if !vector.is_empty() {
                    let number = removed.index(vector.len());
                    assert_eq!(entries.swap_remove(number), Some(vector.swap_remove(number)));
                }
            }
            same(&entries, &vector);
        }
    }

    #[test]
    fn the_last_entry_of_a_piece_takes_the_piece_with_it() {
        let mut entries = Entries::default();
        (0..=PIECE).for_each(|value| entries.push(value));
        assert_eq!(entries.swap_remove(3), Some(3));
        assert_eq!((entries.pieces.len(), entries.get(3)), (1, Some(&PIECE)));
        entries.push(7);
        assert_eq!((entries.pieces.len(), entries.last()), (2, Some(&7)));
    }
}
