//! A fact in words for people: who did what, at whose request, which journal decided, why. Called by `explain`.
//!
//! **Invariant:** every word is taken from the fact and the texts beside it, and nothing else.

use events::certificate::Certificate;
use events::fact::{Fact, Record};
use events::vocabulary::{Assurance, JournalId, Overlay, Principal, Remark, Serial};
use events::{authority, domain, member, node, operator, vcluster};

use crate::mentions;
use events::fact_json::{remark_field, remark_text};

/// The fact, in a few sentences on one line.
pub fn of(record: &Record, remarks: &[Remark]) -> String {
    let from = match (record.source, remark_text(record.source, remarks)) {
        (_, Some(address)) => format!(" from {address}"),
        (Some(_), None) => " from an address that was erased".to_owned(),
        (None, None) => String::new(),
    };
    let sure = match record.assurance {
        Some(Assurance::Claimed) => " The machine claimed a hardware identity that matched.",
        Some(Assurance::Token) => " The machine presented a live token.",
        None => "",
    };
    format!(
        "{}. Requested by {}{from}; decided by journal {} at {}, recorded at {}.{sure}{}",
        what(&record.fact),
        who(&record.principal),
        record.proposed_by,
        record.decided_at,
        record.recorded_at,
        said(&record.fact, remarks),
    )
}

fn who(principal: &Principal) -> String {
    match principal {
        Principal::Anonymous => "a machine without a certificate".to_owned(),
        Principal::Operator(id) => format!("operator {id}"),
        Principal::Node(id) => format!("node {id} itself"),
        Principal::Journal(id) => format!("journal {id} itself"),
    }
}

/// The remark that the fact holds.
fn said(fact: &Fact, remarks: &[Remark]) -> String {
    let Some((field, Some(hash))) = remark_field(fact) else { return String::new() };
    match remark_text(Some(hash), remarks) {
        Some(text) => format!(" The {field} given: {text}."),
        None => format!(" The {field} was erased."),
    }
}

fn what(fact: &Fact) -> String {
    match fact {
        Fact::Domain(event) => of_domain(event),
        Fact::Node(id, event) => of_node(&format!("node {id}"), event) + &replaced(fact),
        Fact::Operator(id, event) => of_operator(&format!("Operator {id}"), event) + &replaced(fact),
        Fact::Authority(id, event) => of_authority(&format!("Authority {id}"), event),
        Fact::Member(id, event) => of_member(id, event),
        Fact::VCluster(id, vcluster::Event::OverlaySet { overlay }) => {
            format!("The nodes of vCluster {id} are configured by {} from here on", of_overlay(overlay))
        }
    }
}

fn of_domain(event: &domain::Event) -> String {
    match event {
        domain::Event::Created(created) => {
            format!(
                "Domain {} began, founded by journal {}: log {}",
                created.domain_id, created.founder, created.log_id
            )
        }
        domain::Event::JoinTokenCreated { token_id, expires_at, .. } => {
            format!("One journal may join with token {token_id} until {expires_at}")
        }
        domain::Event::JoinTokenConsumed { secret_sha256, journal } => {
            format!("Journal {journal} came by the join token whose secret has the hash {secret_sha256}")
        }
        domain::Event::LevelRaised { level } => {
            format!("Facts of format level {level} may be written from here on: all journals read them")
        }
        domain::Event::RemarkErased { seq, .. } => {
            format!("A personal remark of fact {seq} was erased; its hash stays")
        }
        domain::Event::Restored(restored) => format!(
            "The domain goes on behind fact {} (chain {}) with journal {} alone, as number {}: no certificate of before \
             opens anything, the other journals and their authorities are over, join tokens void, and of the operators \
             only {} goes on",
            restored.restored_seq,
            restored.restored_head,
            restored.founder,
            restored.raft_id,
            restored.operator
        ),
        domain::Event::DefaultSet { overlay } => {
            format!("Nodes in no vCluster are configured by {} from here on", of_overlay(overlay))
        }
    }
}

fn of_node(node: &str, event: &node::Event) -> String {
    match event {
        node::Event::Registered { epoch, hardware, .. } => {
            let macs = listed(&hardware.macs);
            format!("A machine with one of the addresses {macs} may enroll as {node}, epoch {epoch}")
        }
        node::Event::CertificateIssued { cause, certificate, .. } => {
            let why = of_cause(*cause);
            format!("Certificate {} was issued to {node}, because it {why}", of_certificate(certificate))
        }
        node::Event::EnrollmentConfirmed { serial } => {
            format!(
                "Certificate {serial} was used for the first time, which confirms the enrollment of {node}"
            )
        }
        node::Event::Deactivated { cause, supersedes } => {
            let why = of_silence(*cause);
            let ended = supersedes.map(|serial| format!("; certificate {serial} ended"));
            format!("The journal counts {node} as gone, because {why}{}", ended.unwrap_or_default())
        }
        node::Event::Reactivated { serial } => {
            format!("An inactive machine came back, {node}, with its certificate {serial}")
        }
        node::Event::Revoked { cause, serials, macs, .. } => {
            let why = match cause {
                node::RevocationCause::Decommissioned => "was decommissioned",
                node::RevocationCause::Revoked => "was revoked",
            };
            let (ended, macs) = (ended(serials), listed(macs));
            format!("The enrollment ended for good, {node} {why}: {ended}; addresses {macs} are free")
        }
        node::Event::Assigned { vcluster } => format!("From here on {node} is in vCluster {vcluster}"),
        node::Event::Unassigned { vcluster } => {
            format!("From here on {node} is in no vCluster, after it was in {vcluster}")
        }
        node::Event::Moved { from, to } => {
            format!("From here on {node} is in vCluster {to}, after it was in {from}")
        }
        node::Event::Drained {} => format!("Nothing new is to be placed on {node} from here on"),
        node::Event::Undrained {} => format!("Work may be placed on {node} again"),
        node::Event::IdentityBound { spiffe_id, over } => {
            let until = match over {
                Some(serial) => format!("as it said itself over {serial}, until it enrolls anew"),
                None => "until its enrollment ends".to_owned(),
            };
            format!("The workload {spiffe_id} proves {node}, too, {until}")
        }
        node::Event::Contested { serial, rival_spki_sha256, presented, .. } => format!(
            "Two machines claim to be {node}: one with certificate {serial} was there and answered, and another with the \
             addresses {} had asked with the key {rival_spki_sha256}",
            listed(&presented.macs)
        ),
        node::Event::Resolved {} => format!("An operator has settled which machine is {node}"),
        node::Event::HardwareReplaced { hardware, released, serials } => {
            let (macs, ended) = (listed(&hardware.macs), ended(serials));
            let free = match released.as_slice() {
                [] => String::new(),
                released => format!("; addresses {} are free", listed(released)),
            };
            format!("A machine with one of the addresses {macs} is {node} from here on: {ended}{free}")
        }
        node::Event::AttemptsRefused(attempts) => of_refused(node, attempts),
        node::Event::CertificateRevoked { cause: node::DistrustCause::FormerKeyProved, serials } => format!(
            "A former machine of {node} proved its key, so what a warm reboot had brought is over: {}",
            ended(serials)
        ),
        node::Event::CertificateRevoked { cause: node::DistrustCause::JournalEvicted, serials } => format!(
            "An evicted journal had signed for {node}: {}; without a certificate it enrolls again",
            ended(serials)
        ),
    }
}

fn of_cause(cause: node::Cause) -> &'static str {
    match cause {
        node::Cause::Enrolled => "enrolled for the first time in its epoch",
        node::Cause::ReEnrolled => "enrolled again after it had been inactive",
        node::Cause::Renewed => "renewed its former certificate",
        node::Cause::WarmReboot => "was rebooted while it was active, and its former boot answered nobody",
    }
}

fn of_silence(cause: node::DeactivationCause) -> &'static str {
    match cause {
        node::DeactivationCause::Silence => "no journal heard of it for the whole grace period",
        node::DeactivationCause::Goodbye => "it said goodbye",
        node::DeactivationCause::Expiry => "its certificate expired",
        node::DeactivationCause::Operator => "an operator deactivated it",
    }
}

fn of_refused(node: &str, attempts: &node::RefusedAttempts) -> String {
    let node::RefusedAttempts { reason, first, last, count, differing } = attempts;
    let differing = match differing.as_slice() {
        [] => String::new(),
        fields => format!("; what was presented had {}", listed(fields)),
    };
    let reason = reason.as_str();
    format!(
        "Machines that asked to be {node} were refused {count} times from {first} to {last}, {reason}{differing}"
    )
}

/// What became of the certificates that end with the fact.
fn ended(serials: &[Serial]) -> String {
    match serials {
        [] => "it had no certificate".to_owned(),
        serials => format!("certificate {} opens nothing from here on", listed(serials)),
    }
}

fn of_operator(operator: &str, event: &operator::Event) -> String {
    match event {
        operator::Event::Created { role, certificate, .. } => {
            format!("{operator} was made, with role {role} and certificate {}", of_certificate(certificate))
        }
        operator::Event::Renewed { certificate, .. } => {
            format!("{operator} got certificate {}", of_certificate(certificate))
        }
        operator::Event::Revoked { serial, .. } => {
            format!("{operator} may do nothing any more: certificate {serial} opens nothing from here on")
        }
    }
}

fn of_authority(authority: &str, event: &authority::Event) -> String {
    match event {
        authority::Event::Announced(announced) => format!(
            "{authority}, generation {} of journal {}, may sign until {}",
            announced.generation, announced.journal_id, announced.not_after
        ),
        authority::Event::Retired {} => {
            format!("{authority} was retired: the last certificate that it signed has expired")
        }
    }
}

fn of_member(journal: &JournalId, event: &member::Event) -> String {
    match event {
        member::Event::Joining { raft_id, endpoints, certificate, .. } => format!(
            "Journal {journal} was let in as number {raft_id}, with server certificate {certificate} at {}: it learns \
             the log and does not vote yet",
            endpoints.cluster
        ),
        member::Event::Joined => format!("Journal {journal} has learned the log and votes from here on"),
        member::Event::Evicted { .. } => {
            format!("Journal {journal} is no member any more, and nobody gets its name again")
        }
        member::Event::Announced { endpoints, certificate } => format!(
            "Journal {journal} says that it listens at {} for journals, {} for agents and {} for operators, with server \
             certificate {certificate}",
            endpoints.cluster, endpoints.agent, endpoints.operator
        ),
    }
}

/// The older certificates that a new one replaces, and for how long they live on.
fn replaced(fact: &Fact) -> String {
    let one = |over: &node::Supersession| match over.overlap_secs {
        0 => over.serial.to_string(),
        secs => format!("{} (which lives on until {secs} s after the new one's first use)", over.serial),
    };
    match mentions::superseded(fact).as_slice() {
        [] => String::new(),
        over => format!("; it supersedes {}", listed(over.iter().map(one))),
    }
}

fn of_certificate(certificate: &Certificate) -> String {
    format!("{} (valid until {})", certificate.serial, certificate.not_after)
}

fn of_overlay(overlay: &Overlay) -> String {
    format!("an overlay of {} bytes (SHA-256 {})", overlay.size, overlay.sha256)
}

fn listed(parts: impl IntoIterator<Item = impl ToString>) -> String {
    parts.into_iter().map(|part| part.to_string()).collect::<Vec<_>>().join(", ")
}
