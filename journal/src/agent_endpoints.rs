//! Where agents find journals, as they are told in every answer and on their subscriptions: all that announced themselves,
//! and which were evicted (design §7).
//!
//! Kept ready, because every enrollment carries it; [`crate::journal`] has it follow the facts. Each change is an edition of
//! its own, so that open subscriptions are told of it once.

use std::sync::Arc;

use arc_swap::ArcSwap;
use events::views::Views;

/// See the module.
pub struct AgentEndpoints {
    /// Of this journal, which tells nobody while it is the only one.
    own: String,
    told: ArcSwap<Told>,
}

/// What agents are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The agents' listeners: `https://HOST:PORT`.
    pub endpoints: Vec<String>,
    /// SHA-256 of the certificates of evicted journals.
    pub evicted: Vec<Vec<u8>>,
    /// Counts the changes, from 1.
    pub edition: u64,
}

impl AgentEndpoints {
    /// Of a journal that listens here.
    pub fn new(own: String, views: &Views) -> Self {
        let endpoints = Self { own, told: ArcSwap::default() };
        endpoints.follow(views);
        endpoints
    }

    /// What is told from now on. Called by one thread at a time. Whether it is something else than before.
    pub fn follow(&self, views: &Views) -> bool {
        let mut endpoints = views.members.endpoints();
        if !endpoints.contains(&self.own) {
            endpoints.push(self.own.clone());
        }
        let evicted = views.members.evicted_certificates();
        let evicted = evicted.iter().map(|hash| hash.as_bytes().to_vec()).collect();
        let before = self.told.load();
        if before.endpoints == endpoints && before.evicted == evicted {
            return false;
        }
        let edition = before.edition + 1;
        self.told.store(Arc::new(Told { endpoints, evicted, edition }));
        true
    }

    /// The edition of what is told now.
    pub fn edition(&self) -> u64 {
        self.told.load().edition
    }

    /// What is told now.
    pub fn told(&self) -> Told {
        Told::clone(&self.told.load())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_change_is_no_new_edition() {
        let own = "https://j1:9443".to_owned();
        let endpoints = AgentEndpoints::new(own.clone(), &Views::default());
        assert_eq!((endpoints.edition(), endpoints.told().endpoints), (1, vec![own]));
        assert!(!endpoints.follow(&Views::default()));
        assert_eq!(endpoints.edition(), 1);
    }
}
