//! A fact in one short line for people. Called by `history` without `-o json`.

use events::certificate::Certificate;
use events::fact::{Fact, Record};
use events::vocabulary::{JournalId, Overlay, Remark};
use events::{authority, domain, member, node, operator, vcluster};

use events::fact_json::remark_text;

/// What happened, without its type and subject.
pub fn what(record: &Record, remarks: &[Remark]) -> String {
    let said = || remark_text(record.fact.remark(), remarks).unwrap_or_default();
    match &record.fact {
        Fact::Domain(event) => of_domain(event),
        Fact::Authority(_, event) => of_authority(event),
        Fact::Node(_, event) => of_node(event, said()),
        Fact::Operator(_, event) => of_operator(event, said()),
        Fact::VCluster(_, vcluster::Event::OverlaySet { overlay }) => of_overlay(overlay),
        Fact::Member(journal, event) => of_member(journal, event, said()),
    }
}

fn of_domain(event: &domain::Event) -> String {
    match event {
        domain::Event::Created(created) => format!("{} by {}", created.domain_id, created.founder),
        domain::Event::JoinTokenCreated { token_id, expires_at, .. } => {
            format!("{token_id} until {expires_at}")
        }
        domain::Event::JoinTokenConsumed { journal, .. } => format!("by {journal}"),
        domain::Event::LevelRaised { level } => format!("to {level}"),
        domain::Event::RemarkErased { seq, .. } => format!("of fact {seq}"),
        domain::Event::DefaultSet { overlay } => of_overlay(overlay),
        domain::Event::Restored(restored) => {
            format!("behind fact {}, by {}", restored.restored_seq, restored.founder)
        }
    }
}

fn of_authority(event: &authority::Event) -> String {
    match event {
        authority::Event::Announced(announced) => {
            format!(
                "generation {} of {} until {}",
                announced.generation, announced.journal_id, announced.not_after
            )
        }
        authority::Event::Retired {} => String::new(),
    }
}

fn of_node(event: &node::Event, said: &str) -> String {
    match event {
        node::Event::Registered { epoch, hardware, .. } => {
            format!("epoch {epoch}, {}", joined(&hardware.macs))
        }
        node::Event::CertificateIssued { cause, certificate, .. } => {
            let cause = match cause {
                node::Cause::Enrolled => "enrolled",
                node::Cause::ReEnrolled => "re-enrolled",
                node::Cause::Renewed => "renewed",
                node::Cause::WarmReboot => "warm reboot",
            };
            format!("{cause}, {}", of_certificate(certificate))
        }
        node::Event::EnrollmentConfirmed { serial } | node::Event::Reactivated { serial } => {
            format!("serial {serial}")
        }
        node::Event::Deactivated { cause, .. } => match cause {
            node::DeactivationCause::Silence => "silence",
            node::DeactivationCause::Goodbye => "goodbye",
            node::DeactivationCause::Expiry => "expiry",
            node::DeactivationCause::Operator => "operator",
        }
        .to_owned(),
        node::Event::Revoked { cause, .. } => {
            let cause = match cause {
                node::RevocationCause::Decommissioned => "decommissioned",
                node::RevocationCause::Revoked => "revoked",
            };
            with_remark(cause, said)
        }
        node::Event::Assigned { vcluster } => vcluster.to_string(),
        node::Event::Contested { serial, presented, .. } => {
            format!("serial {serial} by {}", joined(&presented.macs))
        }
        node::Event::Unassigned { vcluster } => format!("from {vcluster}"),
        node::Event::Moved { from, to } => format!("from {from} to {to}"),
        node::Event::Drained {} | node::Event::Undrained {} | node::Event::Resolved {} => String::new(),
        node::Event::IdentityBound { spiffe_id, .. } => spiffe_id.to_string(),
        node::Event::HardwareReplaced { hardware, .. } => joined(&hardware.macs),
        node::Event::AttemptsRefused(attempts) => {
            format!("{} {} since {}", attempts.count, attempts.reason.as_str(), attempts.first)
        }
        node::Event::CertificateRevoked { serials, .. } => format!("serial {}", joined(serials)),
    }
}

fn of_operator(event: &operator::Event, said: &str) -> String {
    match event {
        operator::Event::Created { role, certificate, .. } => {
            with_remark(&format!("{role}, {}", of_certificate(certificate)), said)
        }
        operator::Event::Renewed { certificate, .. } => of_certificate(certificate),
        operator::Event::Revoked { serial, .. } => with_remark(&format!("serial {serial}"), said),
    }
}

fn of_member(journal: &JournalId, event: &member::Event, said: &str) -> String {
    match event {
        member::Event::Joining { raft_id, endpoints, .. } => {
            format!("{journal}, Raft id {raft_id}, at {}", endpoints.cluster)
        }
        member::Event::Joined => journal.to_string(),
        member::Event::Evicted { .. } => with_remark(journal.as_str(), said),
        member::Event::Announced { endpoints, .. } => format!("{journal} at {}", endpoints.cluster),
    }
}

fn of_overlay(overlay: &Overlay) -> String {
    format!("{} bytes, sha256 {}", overlay.size, overlay.sha256)
}

fn of_certificate(certificate: &Certificate) -> String {
    format!("serial {} until {}", certificate.serial, certificate.not_after)
}

fn joined(parts: impl IntoIterator<Item = impl ToString>) -> String {
    parts.into_iter().map(|part| part.to_string()).collect::<Vec<_>>().join(" ")
}

fn with_remark(text: &str, said: &str) -> String {
    if said.is_empty() { text.to_owned() } else { format!("{text}: {said}") }
}
