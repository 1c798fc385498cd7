//! What an operator does before a storm: registers the nodes, and sets what they are configured by.
//!
//! [`crate::storm`] and the tests of faults call it; its time counts for nothing.

use std::{ops::Range, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use proto::{
    channel::{Connection, JournalAddress},
    outcome::Failure,
    pb::{
        BatchRegisterNodesRequest, RegisterNodeRequest, SetDomainDefaultRequest, batch_row::Outcome,
        node_service_client::NodeServiceClient, v_cluster_service_client::VClusterServiceClient,
    },
    pem_file::{Credential, Trust},
};

use crate::{
    fleet,
    progress::{Counter, Progress},
};

/// Rows of one call: the most that a journal takes.
const ROWS: u32 = 1000;
/// Calls under way: one is decided while the other is on its way.
const CALLS: usize = 2;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of the overlay that every node of a storm fetches: the size of a small file of configuration.
const OVERLAY_BYTES: usize = 4 * 1024;

/// An operator's connection.
#[derive(Debug, Clone)]
pub struct Operator(Connection);

impl Operator {
    /// Connects.
    ///
    /// # Errors
    /// If the journal does not answer, or does not know the operator.
    pub async fn connect(
        journal: &JournalAddress,
        trust: &Trust,
        credential: &Credential,
    ) -> Result<Self, Failure> {
        Ok(Self(Connection::open(journal, trust, Some(credential), CONNECT_WITHIN).await?))
    }

    /// The connection, for other calls.
    pub fn connection(&self) -> &Connection {
        &self.0
    }

    /// What a load of our own begins with: the overlay, and machines up to this number, with its progress.
    ///
    /// # Errors
    /// With the first refusal or failure.
    pub async fn prepare(&self, machines: u32) -> Result<(), Failure> {
        self.set_domain_default().await?;
        self.register_all(machines).await
    }

    /// Registers machines up to this number, and shows how far it is.
    ///
    /// # Errors
    /// With the first refusal or failure.
    pub async fn register_all(&self, machines: u32) -> Result<(), Failure> {
        let progress = Progress::begin("registering", u64::from(machines));
        self.register(0..machines, progress.counter()).await
    }

    /// Gives all nodes that are in no vCluster an overlay of 4 KiB.
    ///
    /// # Errors
    /// With the journal's refusal or failure.
    pub async fn set_domain_default(&self) -> Result<(), Failure> {
        let mut client = VClusterServiceClient::new(self.0.channel());
        let answer = client.set_domain_default(SetDomainDefaultRequest { overlay: overlay() }).await;
        answer.map(drop).map_err(|status| self.0.failure(&status))
    }

    /// Registers machines. What is registered so already is left as it is.
    ///
    /// # Errors
    /// With the first refusal or failure.
    pub async fn register(&self, machines: Range<u32>, counted: &Counter) -> Result<(), Failure> {
        let parts = machines.clone().step_by(ROWS as usize);
        let calls =
            parts.map(|first| self.register_part(first..machines.end.min(first.saturating_add(ROWS))));
        stream::iter(calls)
            .buffer_unordered(CALLS)
            .try_for_each(async |registered| {
                counted.add(registered);
                Ok(())
            })
            .await
    }

    async fn register_part(&self, machines: Range<u32>) -> Result<u64, Failure> {
        let rows: Vec<_> = machines.map(row).collect();
        let sent = rows.len();
        let mut client = NodeServiceClient::new(self.0.channel());
        let request = BatchRegisterNodesRequest { rows, dry_run: false };
        let answer = client.batch_register_nodes(request).await.map_err(|status| self.0.failure(&status))?;
        let rows = answer.into_inner().rows;
        if rows.len() != sent {
            let told = format!("the journal answered {} of {sent} rows of a batch", rows.len());
            return Err(Failure::other(told));
        }
        let known = |outcome| matches!(outcome, Outcome::Registered | Outcome::Unchanged);
        match rows.into_iter().find(|row| !known(row.outcome())) {
            Some(row) => {
                Err(Failure::named(row.reason, format!("a node was not registered: {}", row.message)))
            }
            None => Ok(sent as u64),
        }
    }
}

fn row(machine: u32) -> RegisterNodeRequest {
    RegisterNodeRequest {
        node_id: fleet::node_id(machine),
        hardware_identity: Some((&fleet::hardware(machine)).into()),
        ..Default::default()
    }
}

/// Bytes that a journal does not look into.
fn overlay() -> Vec<u8> {
    b"# the configuration of a made-up machine\n".iter().copied().cycle().take(OVERLAY_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlay_has_4_kib() {
        assert_eq!(overlay().len(), 4096);
    }

    #[test]
    fn a_row_names_the_machine_and_its_hardware() {
        let row = row(7);
        assert_eq!(row.node_id, "storm-000007");
        assert_eq!(row.hardware_identity.unwrap().mac_addresses, ["02:00:00:00:00:07"]);
    }
}
