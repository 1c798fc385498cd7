//! What a life hears, and what it orders: the words between [`super::Life`] and the shell that acts.
//!
//! **Invariant:** none of them holds a key, a connection or a clock's time.

use std::time::Duration;

use events::vocabulary::{DomainId, NodeId};
use proto::{outcome::Failure, pb::journal_message::Changed};
use serde::{Deserialize, Serialize};

use crate::boot_config::BootConfig;

/// Where a node stands, as its user is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It looks what identifies the machine.
    Probing,
    /// It asks for a certificate, and has nothing to go by meanwhile.
    Enrolling,
    /// It has a certificate, and fetches its first boot configuration.
    Configuring,
    /// It has a certificate, an open subscription and its boot configuration.
    Active,
    /// The same, and it is getting its next certificate.
    Renewing,
    /// It goes by the boot configuration that it had, without a journal, and asks on.
    Degraded,
    /// It is stopped and says goodbye.
    Goodbye,
    /// Its life is over.
    Ended,
}

/// A certificate that a journal gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) node_id: NodeId,
    pub(crate) domain_id: DomainId,
    /// From this moment.
    pub(crate) renew_in: Duration,
    /// From this moment.
    pub(crate) expires_in: Duration,
    /// Whether the node connects with a workload identity of others in the certificate's place (R11).
    pub(crate) is_lent: bool,
}

/// What a life was configured by when it last was, in whichever process that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// Of this node.
    pub node_id: NodeId,
    /// Of this domain.
    pub domain_id: DomainId,
    /// What it was.
    pub config: BootConfig,
}

/// What happens to a life.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// It begins, perhaps with what an earlier process was configured by.
    Begin(Option<Cached>),
    /// What identifies the machine is known, or cannot be.
    Probed(Result<(), Failure>),
    /// An enrollment was tried at every journal.
    Enrolled(Result<Given, Failure>),
    /// A subscription was tried at every journal, with the newest certificate. What the node holds or fetched with it may
    /// fail alone.
    Opened(Result<Result<BootConfig, Failure>, Failure>),
    /// A journal said something on a stream, the present one or the one that it replaced.
    Heard(Heard),
    /// The present stream is over, however it ended.
    StreamEnded(Failure),
    /// What came of a fetch over the present connection.
    Fetched(Result<BootConfig, Failure>),
    /// There is a better identity, or a newer one: a stream is to be opened with it.
    Swap,
    /// What came of asking for the next certificate.
    Renewed(Result<Given, Failure>),
    /// Time has passed.
    Time,
    /// Somebody stops it.
    Stop,
    /// The goodbye is said, or given up.
    Left {
        /// Whether a journal has taken it.
        goodbye: bool,
    },
}

/// What a journal says on a stream.
#[derive(Debug, Clone)]
pub(crate) enum Heard {
    /// The boot configuration is another.
    Changed(Changed),
    /// Renew soon.
    RenewNow,
    /// The journal at the other end was evicted: nobody stays with it.
    Evicted(Failure),
}

/// With which key to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A new one.
    New,
    /// That of the last try: a reply that was lost is answered again with the same certificate (R14, R15).
    Same,
}

/// Which journal is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefer {
    /// The one that answered last.
    Serving,
    /// Any other.
    Others,
}

/// What a life orders.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Look what identifies the machine.
    Probe,
    /// Ask every journal once to be enrolled.
    Enroll(Key),
    /// Subscribe with the newest certificate at the first journal that serves, beside the present stream if there is one;
    /// fetch the boot configuration over it if none is held.
    Open { prefer: Prefer, held: Option<BootConfig> },
    /// What was just opened is the present stream. The one that it replaces is heard to its end.
    Adopt,
    /// No stream came of the identity that was to take the present one's place.
    Stay,
    /// The replaced stream has had its time.
    Release,
    /// The present stream is lost, with all that goes on over its connection.
    Lose,
    /// The certificate is over: it says no goodbye any more.
    Forget,
    /// Fetch the boot configuration over the present connection.
    Fetch { held: Option<BootConfig> },
    /// Ask for the next certificate over the present connection.
    Renew(Key),
    /// This is what the node goes by now.
    Act(BootConfig),
    /// This is to be found by the next process.
    Keep(BootConfig),
    /// The node goes by nothing any more, and neither does the next process.
    Unconfigure,
    /// The user is to know.
    Tell(Told),
    /// Somebody who reads the log is to know.
    Warn(Warning),
    /// Say goodbye, and stop what runs.
    Leave,
    /// It is over.
    End(Result<(), Failure>),
}

/// What the user is told. The rest the shell knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Enrolled,
    Subscribed,
    Lost(Failure),
    Renewed,
    Configured(BootConfig),
    /// The node goes by what it had.
    Degraded(BootConfig),
    Stopped {
        goodbye: bool,
    },
}

/// What somebody who reads the log is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Warning {
    /// No journal lets the node in yet; what an operator can do about it.
    NotEnrolled { failure: Failure, wait: Duration, remedy: Option<&'static str> },
    /// No journal takes a subscription.
    NotSubscribed { failure: Failure, wait: Duration },
    /// There is no next certificate yet, or no stream with it. The present one lives on for so long.
    NotRenewed { failure: Failure, wait: Duration, left: Duration },
    /// No stream came of another identity. The present one lives on.
    NotSwapped { failure: Failure },
    /// There is no boot configuration yet.
    NotConfigured { failure: Failure },
    /// The certificate was ended: the node enrolls anew.
    CertificateOver { failure: Failure },
}
