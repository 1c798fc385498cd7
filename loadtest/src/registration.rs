//! Registers the nodes of a storm, one call each, as an operator would.
//!
//! [`crate::storm`] calls it before the storm; its time counts for nothing.

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use proto::{
    channel::{Connection, JournalAddress},
    outcome::Failure,
    pb::{RegisterNodeRequest, node_service_client::NodeServiceClient},
    pem_file::{Credential, Trust},
};
use std::time::Duration;
use tokio::task::JoinSet;

use crate::fleet;

/// Connections: a few, so that neither side has one thread busy and the others idle.
const CONNECTIONS: u32 = 4;
/// Calls under way on each: enough that the journal's writer always has a batch to write.
const CALLS: usize = 64;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Registers so many nodes, and counts each.
///
/// # Errors
/// With the first refusal or failure.
pub async fn register(
    journal: &JournalAddress,
    trust: &Trust,
    operator: &Credential,
    nodes: u32,
    done: &ProgressBar,
) -> Result<(), Failure> {
    let mut lanes = JoinSet::new();
    for first in 0..CONNECTIONS.min(nodes) {
        let connection = Connection::open(journal, trust, Some(operator), CONNECT_WITHIN).await?;
        lanes.spawn(lane(connection, (first..nodes).step_by(CONNECTIONS as usize), done.clone()));
    }
    while let Some(lane) = lanes.join_next().await {
        lane.map_err(|error| Failure::other(format!("registering broke off: {error}")))??;
    }
    Ok(())
}

async fn lane(
    connection: Connection,
    nodes: impl Iterator<Item = u32>,
    done: ProgressBar,
) -> Result<(), Failure> {
    let calls =
        stream::iter(nodes).map(|node| register_one(connection.clone(), node)).buffer_unordered(CALLS);
    calls
        .try_for_each(|()| {
            done.inc(1);
            async { Ok(()) }
        })
        .await
}

async fn register_one(connection: Connection, node: u32) -> Result<(), Failure> {
    let request = RegisterNodeRequest {
        node_id: fleet::node_id(node),
        hardware_identity: Some((&fleet::hardware(node)).into()),
        ..Default::default()
    };
    let answer = NodeServiceClient::new(connection.channel()).register_node(request).await;
    answer.map(drop).map_err(|status| connection.failure(&status))
}
