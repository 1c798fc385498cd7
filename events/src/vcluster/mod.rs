//! A vCluster: a logical group of nodes that share an overlay. It exists from the first overlay on, and never ends.
//!
//! Not here: which nodes are in it (a node's own facts), the bytes of overlays (the log's store), and the overlay of
//! nodes in no vCluster (a fact about the domain).

use serde::{Deserialize, Serialize};

use crate::vocabulary::Overlay;

/// A fact about a vCluster. **Stored** (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Its nodes are configured by this overlay from here on.
    OverlaySet {
        /// Which.
        overlay: Overlay,
    },
}

/// What is known of a vCluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// No fact tells of it.
    #[default]
    Unknown,
    /// It exists.
    Configured {
        /// What its nodes are configured by.
        overlay: Overlay,
    },
}

/// Decides an order to set the overlay. None: it is so already.
pub fn set_overlay(state: &State, overlay: Overlay) -> Option<Event> {
    (state.overlay() != Some(overlay)).then_some(Event::OverlaySet { overlay })
}

/// Folds a fact. Total.
pub fn evolve(_: State, event: &Event) -> State {
    match event {
        Event::OverlaySet { overlay } => State::Configured { overlay: *overlay },
    }
}

impl State {
    /// What its nodes are configured by.
    pub fn overlay(&self) -> Option<Overlay> {
        match self {
            Self::Unknown => None,
            Self::Configured { overlay } => Some(*overlay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlay_that_a_vcluster_has_already_is_not_set_again() {
        let (one, other) = (Overlay::of(b"one").unwrap(), Overlay::of(b"other").unwrap());
        let event = set_overlay(&State::Unknown, one).unwrap();
        let state = evolve(State::Unknown, &event);
        assert_eq!(state.overlay(), Some(one));
        assert_eq!(set_overlay(&state, one), None);
        assert_eq!(set_overlay(&state, other), Some(Event::OverlaySet { overlay: other }));
    }
}
