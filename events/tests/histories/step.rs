//! What can be tried in a history: commands with few choices each, so that they meet.

use events::node::{DeactivationCause, RevocationCause};
use proptest::prelude::*;

/// The world has this many nodes, named n0 to n3.
pub const NODES: u8 = 4;
/// …MAC addresses…
pub const MACS: u8 = 6;
/// …and public keys.
pub const KEYS: u8 = 6;

/// One thing that is tried.
#[derive(Debug, Clone)]
pub struct Step {
    /// What.
    pub action: Action,
    /// Whether it is decided on the views of the last [`Action::Look`], not on the present ones.
    pub on_old_view: bool,
    /// How far the deciding journal's clock is ahead, in milliseconds.
    pub skew: i64,
}

/// What is tried.
#[derive(Debug, Clone)]
pub enum Action {
    /// An operator registers a node with these addresses (a bit each) and maybe a chassis.
    Register { node: u8, macs: u8, chassis: Option<u8> },
    /// A machine presents the hardware of a node, or else these addresses, with a key; none is an unreadable request.
    Enroll { like: Option<u8>, macs: u8, chassis: Option<u8>, key: Option<u8> },
    /// The machine of a node enrolls with a key in the boot of this number, while its former boot is silent, or not asked yet.
    Reboot { node: u8, key: u8, boot: u8, silent: bool },
    /// A machine proves the key of one of the node's certificates, so many before the newest.
    ProveFormer { node: u8, back: u8 },
    /// A node renews over its current or former certificate.
    Renew { node: u8, former: bool, key: Option<u8> },
    /// A node calls with its current or former certificate.
    Confirm { node: u8, former: bool },
    /// A node says goodbye.
    Goodbye { node: u8, former: bool },
    /// A timer or an operator finds it gone.
    Deactivate { node: u8, cause: DeactivationCause },
    /// An operator ends its enrollment.
    Revoke { node: u8, cause: RevocationCause },
    /// A machine with its hardware asked with a key while the stream of its current or former certificate answers.
    Contest { node: u8, former: bool, key: u8 },
    /// An operator settles it.
    Resolve { node: u8 },
    /// An operator puts a machine with these addresses in its place.
    Replace { node: u8, macs: u8, chassis: Option<u8> },
    /// Refused attempts are noted.
    NoteRefused { node: u8 },
    /// An operator puts it into a vCluster, out of it (`None`), or from one into another.
    Assign { node: u8, vcluster: Option<u8> },
    /// See above.
    Move { node: u8, vcluster: u8 },
    /// An operator drains it, or ends that.
    Drain { node: u8, draining: bool },
    /// An operator sets the overlay of a vCluster.
    SetOverlay { vcluster: u8, overlay: u8 },
    /// What evicted journals had signed for it ends.
    Distrust { node: u8 },
    /// A node binds a workload identity over its current or former certificate, or an operator does.
    Bind { node: u8, workload: u8, over: Option<bool> },
    /// The journal makes a new authority.
    Announce,
    /// The journal retires an old one.
    Retire { which: u8 },
    /// An operator is created, renews or is revoked.
    CreateOperator { operator: u8, key: u8 },
    /// See above.
    RenewOperator { operator: u8, key: u8 },
    /// See above.
    RevokeOperator { operator: u8 },
    /// An operator makes the join token of this number, which lives so long, in seconds.
    CreateJoinToken { token: u8, secs: u64 },
    /// A journal joins by a token with a key.
    Join { journal: u8, token: u8, key: u8 },
    /// A journal becomes a voter.
    ConfirmJournal { journal: u8 },
    /// A journal says where it listens.
    AnnounceJournal { journal: u8, host: u8 },
    /// An operator evicts a journal, or it is given up.
    EvictJournal { journal: u8, given_up: bool },
    /// The leader raises the log's format level, to what all read.
    RaiseLevel { readable: u8 },
    /// An operator sets the overlay of nodes in no vCluster.
    SetDefault { overlay: u8 },
    /// Most journals are lost, and the log goes on with a new one and this operator.
    Restore { operator: u8 },
    /// Time passes, in seconds.
    Wait { secs: u64 },
    /// The views are kept, to be decided on later.
    Look,
    /// The last append is sent again.
    Repeat,
}

/// A history of 1 to 200 of them.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let old = prop::bool::weighted(0.15);
    let skew = prop_oneof![
        8 => Just(0_i64),
        2 => -60_000..=60_000_i64,
        1 => prop_oneof![Just(-60_001_i64), Just(60_001), Just(70_000)],
    ];
    let step =
        (action(), old, skew).prop_map(|(action, on_old_view, skew)| Step { action, on_old_view, skew });
    prop::collection::vec(step, 1..200)
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => of_registration(),
        20 => of_node(),
        6 => of_strangers(),
        6 => of_groups(),
        6 => of_others(),
        8 => of_journals(),
        6 => wait().prop_map(|secs| Action::Wait { secs }),
        2 => Just(Action::Look),
        2 => Just(Action::Repeat),
        1 => (0..3_u8).prop_map(|operator| Action::Restore { operator }),
    ]
}

fn macs() -> impl Strategy<Value = u8> {
    prop_oneof![4 => (0..MACS).prop_map(|bit| 1 << bit), 1 => 0..(1_u8 << MACS)]
}

fn key() -> impl Strategy<Value = Option<u8>> {
    prop::option::weighted(0.95, 0..KEYS)
}

fn chassis() -> impl Strategy<Value = Option<u8>> {
    prop::option::weighted(0.2, 0..2_u8)
}

fn of_registration() -> impl Strategy<Value = Action> {
    let like = prop::option::weighted(0.85, 0..NODES);
    prop_oneof![
        1 => (0..NODES, macs(), chassis())
            .prop_map(|(node, macs, chassis)| Action::Register { node, macs, chassis }),
        2 => (like, macs(), chassis(), key())
            .prop_map(|(like, macs, chassis, key)| Action::Enroll { like, macs, chassis, key }),
    ]
}

fn of_node() -> impl Strategy<Value = Action> {
    let former = || prop::bool::weighted(0.2);
    let cause = prop_oneof![
        Just(DeactivationCause::Silence),
        Just(DeactivationCause::Expiry),
        Just(DeactivationCause::Operator)
    ];
    let end = prop_oneof![Just(RevocationCause::Revoked), Just(RevocationCause::Decommissioned)];
    prop_oneof![
        4 => (0..NODES, 0..KEYS, 0..4_u8, prop::bool::weighted(0.9))
            .prop_map(|(node, key, boot, silent)| Action::Reboot { node, key, boot, silent }),
        2 => (0..NODES, 0..4_u8).prop_map(|(node, back)| Action::ProveFormer { node, back }),
        4 => (0..NODES, former(), key()).prop_map(|(node, former, key)| Action::Renew { node, former, key }),
        4 => (0..NODES, former()).prop_map(|(node, former)| Action::Confirm { node, former }),
        1 => (0..NODES, former()).prop_map(|(node, former)| Action::Goodbye { node, former }),
        2 => (0..NODES, cause).prop_map(|(node, cause)| Action::Deactivate { node, cause }),
        1 => (0..NODES, end).prop_map(|(node, cause)| Action::Revoke { node, cause }),
    ]
}

fn of_strangers() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (0..NODES, prop::bool::weighted(0.2), 0..KEYS)
            .prop_map(|(node, former, key)| Action::Contest { node, former, key }),
        1 => (0..NODES).prop_map(|node| Action::Resolve { node }),
        2 => (0..NODES, macs(), chassis()).prop_map(|(node, macs, chassis)| Action::Replace { node, macs, chassis }),
        1 => (0..NODES).prop_map(|node| Action::NoteRefused { node }),
        2 => (0..NODES).prop_map(|node| Action::Distrust { node }),
        4 => (0..NODES, 0..3_u8, prop::option::of(prop::bool::weighted(0.2)))
            .prop_map(|(node, workload, over)| Action::Bind { node, workload, over }),
    ]
}

fn of_groups() -> impl Strategy<Value = Action> {
    let vcluster = || 0..3_u8;
    prop_oneof![
        3 => (0..NODES, prop::option::weighted(0.7, vcluster()))
            .prop_map(|(node, vcluster)| Action::Assign { node, vcluster }),
        2 => (0..NODES, vcluster()).prop_map(|(node, vcluster)| Action::Move { node, vcluster }),
        1 => (0..NODES, any::<bool>()).prop_map(|(node, draining)| Action::Drain { node, draining }),
        2 => (vcluster(), 0..2_u8).prop_map(|(vcluster, overlay)| Action::SetOverlay { vcluster, overlay }),
    ]
}

fn of_others() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Announce),
        (0..4_u8).prop_map(|which| Action::Retire { which }),
        (0..3_u8, 0..KEYS).prop_map(|(operator, key)| Action::CreateOperator { operator, key }),
        (0..3_u8, 0..KEYS).prop_map(|(operator, key)| Action::RenewOperator { operator, key }),
        (0..3_u8).prop_map(|operator| Action::RevokeOperator { operator }),
    ]
}

fn of_journals() -> impl Strategy<Value = Action> {
    let journal = || 1..4_u8;
    let life = prop_oneof![Just(60_u64), Just(3600)];
    prop_oneof![
        2 => (0..3_u8, life).prop_map(|(token, secs)| Action::CreateJoinToken { token, secs }),
        4 => (journal(), 0..3_u8, 0..2_u8)
            .prop_map(|(journal, token, key)| Action::Join { journal, token, key }),
        2 => journal().prop_map(|journal| Action::ConfirmJournal { journal }),
        1 => (journal(), 0..2_u8).prop_map(|(journal, host)| Action::AnnounceJournal { journal, host }),
        1 => (journal(), any::<bool>())
            .prop_map(|(journal, given_up)| Action::EvictJournal { journal, given_up }),
        1 => (1..4_u8).prop_map(|readable| Action::RaiseLevel { readable }),
        1 => (0..2_u8).prop_map(|overlay| Action::SetDefault { overlay }),
    ]
}

/// Around every limit that the rules name.
fn wait() -> impl Strategy<Value = u64> {
    const DAY: u64 = 24 * 3600;
    prop_oneof![
        4 => prop_oneof![Just(1_u64), Just(59), Just(299), Just(300), Just(301), Just(600)],
        2 => prop_oneof![Just(3600_u64), Just(DAY - 1), Just(DAY), Just(2 * DAY)],
        1 => prop_oneof![Just(3 * DAY), Just(4 * DAY), Just(4 * DAY + 1), Just(16 * DAY)],
    ]
}
