//! What a journal tells its supervisor ([`proto::supervisor`]) when it serves.
//!
//! `serve` calls it. Not here, on purpose: how a supervisor is spoken to.
//!
//! **Invariant:** nothing that goes wrong there stops a journal, or makes it wait.

use proto::supervisor::Supervisor;

use crate::data_dir::Endpoints;

/// It serves, and where.
pub fn tell_ready(supervisor: &Supervisor, endpoints: &Endpoints) {
    let [agents, operators] = [endpoints.agent, endpoints.operator]
        .map(|address| address.map_or_else(|| "none".to_owned(), |address| address.to_string()));
    supervisor.tell(&format!("READY=1\nSTATUS=serving agents at {agents}, operators at {operators}"));
}
