//! What is known of each node, found by its name, and told in the order of the names.
//!
//! The registry looks a node up for every fact about it: in a table. The order is asked for by people only.
//!
//! **Invariant:** a name is in the order if and only if it is in the table.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use crate::table::Table;
use crate::vocabulary::{NAME_BYTES, NodeId};

/// See the module. Names are never taken out: nothing is ever deleted (R4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ByName<V> {
    table: Table<NAME_BYTES, V>,
    order: BTreeSet<NodeId>,
}

impl<V> Default for ByName<V> {
    fn default() -> Self {
        Self { table: Table::default(), order: BTreeSet::new() }
    }
}

impl<V> ByName<V> {
    /// By its name.
    pub(super) fn get(&self, id: &NodeId) -> Option<&V> {
        self.table.get(id.as_padded())
    }

    /// See [`super::Views::look_ahead`].
    pub(super) fn touch(&self, id: &NodeId) -> u32 {
        self.table.touch(id.as_padded())
    }

    /// What [`Self::get`] will most likely find.
    pub(super) fn touch_entry(&self, id: &NodeId) -> Option<&V> {
        self.table.touch_entry(id.as_padded())
    }

    /// By its name; made if there is none.
    pub(super) fn get_or_insert_with(&mut self, id: &NodeId, make: impl FnOnce() -> V) -> &mut V {
        let order = &mut self.order;
        self.table.get_or_insert_with(id.as_padded(), || {
            order.insert(id.clone());
            make()
        })
    }

    /// Changes them, by name.
    pub(super) fn change_each(&mut self, mut change: impl FnMut(&NodeId, &mut V)) {
        for id in &self.order {
            if let Some(value) = self.table.get_mut(id.as_padded()) {
                change(id, value);
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// All of them, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &V)> {
        self.after(None)
    }

    /// Those behind a name, by name.
    pub(super) fn after(&self, last: Option<&NodeId>) -> impl Iterator<Item = (&NodeId, &V)> {
        let names = self.order.range::<NodeId, _>((last.map_or(Unbounded, Excluded), Unbounded));
        names.filter_map(|id| Some((id, self.get(id)?)))
    }
}
