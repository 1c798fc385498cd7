//! Connections without a certificate: those that say nothing hold a place for seconds, and keep nobody out (R21).

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::net::TcpStream;

use crate::journal_process::{Journal, until};
use crate::request::Machine;

use super::{PROMPT, open_files};

/// More than the share of one source of the places for connections without a certificate (1,536).
const OPEN: usize = 1700;
/// More than all places for connections that are not served yet (512).
const MUTE: usize = 1000;
/// A connection without a call under way ends after 10 s; the machine may be busy.
const IDLE: Duration = Duration::from_secs(30);

/// Opens so many connections that say nothing after their handshake.
async fn silent(journal: &Journal, count: usize) -> Vec<crate::calls::Agent> {
    let opened = stream::iter(0..count).map(|_| journal.agent(None)).buffer_unordered(32);
    opened.filter_map(async |opened| opened.ok()).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_21_silent_connections_of_the_same_source_do_not_keep_a_node_out() {
    // given all places of this source taken: after the handshake, and before it
    let journal = Journal::start();
    let machine = Machine::registered(&journal.operator().await).await;
    let held = silent(&journal, OPEN).await;
    assert!(held.len() > OPEN / 2, "{}", held.len());
    let address = journal.agents_address();
    let mut mute = vec![];
    for _ in 0..MUTE {
        mute.push(TcpStream::connect((address.host(), address.port())).await.unwrap());
    }

    // when, then: as an agent does, it asks again
    let issued = until("a node enrolls", PROMPT, async || {
        let agent = journal.agent(None).await.ok()?;
        agent.enroll(&machine.hardware, &machine.csr()).await.ok()
    });
    assert_eq!(issued.await.node_id, machine.node_id);
    drop((held, mute));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_21_a_connection_without_a_certificate_and_without_a_call_is_closed() {
    let journal = Journal::start();
    let before = open_files(&journal);
    let held = silent(&journal, 50).await;
    assert!(held.len() == 50 && open_files(&journal) >= before + 50);

    let closed = until("all are closed", IDLE, async || (open_files(&journal) < before + 10).then_some(()));
    closed.await;
    drop(held);
}
