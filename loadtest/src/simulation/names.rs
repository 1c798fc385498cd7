//! Who and what there is in a simulated domain: few names, so that all of them meet.

use events::member::Endpoints;
use events::vocabulary::{
    CertificateHash, DomainId, HardwareIdentity, JournalId, KeyHash, Mac, NodeId, OperatorId,
};

/// Names of nodes.
pub const NODES: usize = 6;
/// Machines: each of the first has hardware of its own, the others present that of the first few as their own.
pub const MACHINES: usize = 11;
/// Different sets of hardware.
pub const HARDWARE: usize = 8;
/// Names of operators; the first is there from the beginning.
pub const OPERATORS: usize = 4;
/// Names of journals: an evicted one's is never given again.
pub const JOURNALS: usize = 9;

/// See the module.
#[derive(Debug)]
pub struct Names {
    /// The domain.
    pub domain: DomainId,
    /// Of nodes.
    pub nodes: Vec<NodeId>,
    /// What each machine presents.
    pub hardware: Vec<HardwareIdentity>,
    /// Of operators.
    pub operators: Vec<OperatorId>,
    /// Of journals.
    pub journals: Vec<JournalId>,
}

impl Names {
    /// All of them.
    pub fn all() -> Self {
        let hardware = (0..HARDWARE).map(hardware).collect::<Vec<_>>();
        Self {
            domain: "hpc".parse().expect("a domain's name"),
            nodes: (1..=NODES).map(|at| format!("n{at}").parse().expect("a node's name")).collect(),
            hardware: (0..MACHINES).map(|at| hardware[at % HARDWARE].clone()).collect(),
            operators: (1..=OPERATORS)
                .map(|at| format!("o{at}").parse().expect("an operator's name"))
                .collect(),
            journals: (1..=JOURNALS).map(|at| format!("j{at}").parse().expect("a journal's name")).collect(),
        }
    }

    /// The place of a journal's name.
    pub fn journal(&self, id: &JournalId) -> Option<usize> {
        self.journals.iter().position(|name| name == id)
    }

    /// The place of a node's name.
    pub fn node(&self, id: &NodeId) -> Option<usize> {
        self.nodes.iter().position(|name| name == id)
    }
}

/// Where a journal listens.
pub fn endpoints(journal: usize) -> Endpoints {
    Endpoints {
        cluster: format!("h{journal}:9444"),
        agent: format!("https://h{journal}:9443"),
        operator: format!("https://h{journal}:9446"),
    }
}

/// The server certificate and the key of a journal, as hashes.
pub fn credentials(journal: usize) -> (CertificateHash, KeyHash) {
    let name = format!("server of journal {journal}");
    (CertificateHash::of(name.as_bytes()), KeyHash::of(name.as_bytes()))
}

/// Two addresses each, one of which the next set has too: hardware that is partly another's must occur. Two share a chassis.
fn hardware(at: usize) -> HardwareIdentity {
    let mac = |bit: usize| {
        Mac::new([2, 0, 0, 0, 1, u8::try_from(bit).unwrap_or(0)]).expect("a local unicast address")
    };
    let chassis = (at % 4 == 1).then(|| "CHASSIS-1".parse().expect("a serial"));
    let shared = if at % 3 == 2 { at - 1 } else { at };
    HardwareIdentity { macs: [mac(2 * at), mac(2 * shared + 1)].into(), bmc_serial: chassis, uuid: None }
}
