//! What operators of the model do with nodes that they keep: other hardware, vClusters, draining.

use events::fact::Fact;
use events::node::{Command, Group};
use events::stream::StreamName;
use events::vcluster;
use events::vocabulary::{Overlay, Role, VClusterId};

use super::step::Action;
use super::world::{Desk, World, hardware, node_id};

impl World {
    /// Tries one thing that operators order about nodes; others are not its business.
    pub(super) fn take_of_operators(&mut self, desk: &Desk, stale: bool, action: &Action) {
        let asker = Role::PlatformAdmin;
        match action {
            Action::Replace { node, macs, chassis } => self.replace(desk, stale, *node, *macs, *chassis),
            Action::Assign { node, vcluster: None } => {
                self.command(desk, stale, &node_id(*node), Command::Unassign { asker }, &[]);
            }
            Action::Assign { node, vcluster: Some(vcluster) } => {
                let (to, read) = group(desk, *vcluster);
                self.command(desk, stale, &node_id(*node), Command::Assign { to, asker }, &[read]);
            }
            Action::Move { node, vcluster } => {
                let (to, read) = group(desk, *vcluster);
                self.command(desk, stale, &node_id(*node), Command::Move { to, asker }, &[read]);
            }
            Action::Drain { node, draining } => {
                let command = Command::Drain { draining: *draining, asker };
                self.command(desk, stale, &node_id(*node), command, &[]);
            }
            Action::SetOverlay { vcluster, overlay } => {
                self.set_overlay(desk, stale, vcluster_id(*vcluster), *overlay);
            }
            Action::Register { .. }
            | Action::Enroll { .. }
            | Action::Reboot { .. }
            | Action::ProveFormer { .. }
            | Action::Renew { .. }
            | Action::Confirm { .. }
            | Action::Goodbye { .. }
            | Action::Deactivate { .. }
            | Action::Revoke { .. }
            | Action::Contest { .. }
            | Action::Resolve { .. }
            | Action::NoteRefused { .. }
            | Action::Distrust { .. }
            | Action::Bind { .. }
            | Action::Announce
            | Action::Retire { .. }
            | Action::CreateOperator { .. }
            | Action::RenewOperator { .. }
            | Action::RevokeOperator { .. }
            | Action::CreateJoinToken { .. }
            | Action::Join { .. }
            | Action::ConfirmJournal { .. }
            | Action::AnnounceJournal { .. }
            | Action::EvictJournal { .. }
            | Action::RaiseLevel { .. }
            | Action::SetDefault { .. }
            | Action::Restore { .. }
            | Action::Wait { .. }
            | Action::Look
            | Action::Repeat => unreachable!("{action:?} is not the operators' of nodes"),
        }
    }

    fn replace(&mut self, desk: &Desk, stale: bool, node: u8, macs: u8, chassis: Option<u8>) {
        let hardware = hardware(macs, chassis);
        if hardware.macs.is_empty() {
            return;
        }
        let macs = desk.views.registry.mac_claims(&hardware.macs);
        let command = Command::ReplaceHardware { hardware, macs, now: desk.now };
        self.command(desk, stale, &node_id(node), command, &[]);
    }

    fn set_overlay(&mut self, desk: &Desk, stale: bool, id: VClusterId, overlay: u8) {
        let state = desk.views.vclusters.get(&id).map_or(vcluster::State::Unknown, |known| known.state);
        let overlay = Overlay::of(&[overlay]).expect("it is small");
        match vcluster::set_overlay(&state, overlay) {
            Some(event) => self.append(desk, stale, vec![Fact::VCluster(id, event)], &[]),
            None => self.note("nothing"),
        }
    }
}

/// A vCluster as this desk sees it, and the stream that the decision reads.
fn group(desk: &Desk, vcluster: u8) -> (Group, StreamName) {
    let id = vcluster_id(vcluster);
    let exists = desk.views.vclusters.get(&id).is_some();
    (Group { id: id.clone(), exists }, StreamName::VCluster(id))
}

fn vcluster_id(number: u8) -> VClusterId {
    format!("v{number}").parse().expect("a vCluster id")
}
