//! What nodes are told of the journals (design §7): all that announced themselves, and who was evicted, also on streams that
//! stand.

use std::fs;

use events::vocabulary::CertificateHash;
use proto::pb;
use proto::pb::journal_message::Message;
use proto::pb::member_service_client::MemberServiceClient;
use proto::pem_file::Credential;
use tokio::time::timeout;

use crate::boot_configuration::booted;
use crate::calls::answer;
use crate::journal_process::ANSWERED;
use crate::request::Machine;

use super::Trio;

#[tokio::test]
async fn an_eviction_is_told_on_streams_that_stand_and_in_answers() {
    let trio = Trio::start().await;
    let leader = trio.leader(&[0, 1, 2]).await;
    let (stays, leaves) = ((leader + 1) % 3, (leader + 2) % 3);
    let operator = trio.operator(leader).await;
    let machine = Machine::registered(&operator).await;
    let agent = booted(trio.journal(stays), &machine).await;
    let mut stream = agent.subscribe().await.unwrap();
    let server = trio.journal(leaves).dir.path().join("server.pem");
    assert!(fs::exists(&server).unwrap());
    let shown = CertificateHash::of(&Credential::read(&server).unwrap().chain()[0]);

    let journal_id = format!("j{}", leaves + 1);
    let request = pb::EvictRequest { journal_id, revoke_issued: false, reason: String::new() };
    let answered = MemberServiceClient::new(operator.0.channel()).evict(request).await;
    answer(&operator.0, answered).unwrap();

    let told = timeout(ANSWERED, async {
        loop {
            if let Some(Message::Endpoints(told)) = stream.next().await {
                return told;
            }
        }
    });
    let told = told.await.unwrap();
    assert_eq!(told.endpoints.len(), 2, "{told:?}");
    assert_eq!(told.evicted_journals, [shown.as_bytes().to_vec()]);
    let other = Machine::registered(&operator).await;
    let anonymous = trio.journal(leader).agent(None).await.unwrap();
    let issued = anonymous.enroll(&other.hardware, &other.csr()).await.unwrap();
    assert_eq!((issued.endpoints.len(), issued.evicted_journals), (2, told.evicted_journals));
}
