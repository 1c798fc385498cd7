//! Where agents find journals, as they are told in every answer: all that announced themselves, and which were evicted
//! (design §7).
//!
//! Kept ready, because every enrollment carries it; [`crate::journal`] has it follow the facts.

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
}

impl AgentEndpoints {
    /// Of a journal that listens here.
    pub fn new(own: String, views: &Views) -> Self {
        let endpoints = Self { own, told: ArcSwap::default() };
        endpoints.follow(views);
        endpoints
    }

    /// What is told from now on.
    pub fn follow(&self, views: &Views) {
        let mut endpoints = views.members.endpoints();
        if !endpoints.contains(&self.own) {
            endpoints.push(self.own.clone());
        }
        let evicted = views.members.evicted_certificates();
        let evicted = evicted.iter().map(|hash| hash.as_bytes().to_vec()).collect();
        self.told.store(std::sync::Arc::new(Told { endpoints, evicted }));
    }

    /// What is told now.
    pub fn told(&self) -> Told {
        Told::clone(&self.told.load())
    }
}
