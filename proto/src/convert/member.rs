//! A journal as a member of the quorum: as the operators' and the cluster's listeners say it.
//!
//! `journal::grpc` calls it. Not here, on purpose: what no fact tells, such as who leads; the journal fills it in.

use events::member::{Endpoints, Rejection, Standing, State};
use events::vocabulary::JournalId;

use crate::{pb, reason::Reason, refusal::Refusal};

/// Writes a journal as far as facts tell of it.
pub fn to_wire(id: &JournalId, state: &State) -> pb::Member {
    let endpoints = state.member().and_then(|member| member.endpoints.clone()).unwrap_or_default();
    pb::Member {
        journal_id: id.to_string(),
        raft_id: state.raft_id().unwrap_or_default(),
        standing: standing(state).to_owned(),
        cluster_endpoint: endpoints.cluster,
        agent_endpoint: endpoints.agent,
        operator_endpoint: endpoints.operator,
        ..pb::Member::default()
    }
}

/// The word for a standing; empty for a journal that no fact tells of.
pub const fn standing(state: &State) -> &'static str {
    match state {
        State::Unknown => "",
        State::Member(member) => match member.standing {
            Standing::Joining { .. } => "joining",
            Standing::Joined => "voter",
        },
        State::Evicted { .. } => "evicted",
    }
}

/// Reads where a journal listens.
///
/// # Errors
/// `ENDPOINT_INVALID` if one is missing or could not be stored.
pub fn endpoints(wire: Option<pb::Endpoints>) -> Result<Endpoints, Refusal> {
    let pb::Endpoints { cluster, agent, operator } = wire.unwrap_or_default();
    let endpoints = Endpoints { cluster, agent, operator };
    if endpoints.are_storable() { Ok(endpoints) } else { Err(refusal(&Rejection::EndpointInvalid)) }
}

/// Writes where a journal listens.
pub fn endpoints_to_wire(endpoints: &Endpoints) -> pb::Endpoints {
    let Endpoints { cluster, agent, operator } = endpoints.clone();
    pb::Endpoints { cluster, agent, operator }
}

/// Tells a rejection.
pub fn refusal(rejection: &Rejection) -> Refusal {
    Refusal::new(reason(rejection), rejection.to_string())
}

const fn reason(rejection: &Rejection) -> Reason {
    match rejection {
        Rejection::TokenUnknown => Reason::TokenUnknown,
        Rejection::TokenExpired => Reason::TokenExpired,
        Rejection::TokenConsumed => Reason::TokenConsumed,
        Rejection::AlreadyExists | Rejection::VotesAlready | Rejection::NameUsed => {
            Reason::JournalAlreadyExists
        }
        Rejection::NotFound => Reason::JournalNotFound,
        Rejection::Evicted => Reason::JournalEvicted,
        Rejection::LastJournal => Reason::LastJournal,
        Rejection::EndpointInvalid => Reason::EndpointInvalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> pb::Endpoints {
        pb::Endpoints {
            cluster: "h:9444".to_owned(),
            agent: "https://h:9443".to_owned(),
            operator: "https://h:9446".to_owned(),
        }
    }

    #[test]
    fn where_a_journal_listens_reads_back() {
        assert_eq!(endpoints(Some(said())).map(|read| endpoints_to_wire(&read)), Ok(said()));
    }

    #[test]
    fn a_missing_or_unstorable_endpoint_is_refused() {
        let spaced = pb::Endpoints { agent: "https://h 9443".to_owned(), ..said() };
        for wire in [None, Some(pb::Endpoints::default()), Some(spaced)] {
            assert_eq!(endpoints(wire).unwrap_err().reason, Reason::EndpointInvalid);
        }
    }

    #[test]
    fn the_founder_is_a_voter_who_has_not_said_where_it_listens() {
        let wire = to_wire(&"j1".parse().unwrap(), &State::founder(1));
        assert_eq!((wire.raft_id, wire.standing.as_str(), wire.cluster_endpoint.as_str()), (1, "voter", ""));
    }

    #[test]
    fn a_name_that_was_used_says_what_to_do() {
        let told = refusal(&Rejection::NameUsed);
        assert_eq!(told.reason, Reason::JournalAlreadyExists);
        assert!(told.message.contains("--journal-id"), "{told}");
    }
}
