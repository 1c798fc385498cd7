//! Renewal beside the present stream, with certificates for 30 s.

use rustix::process::Signal;

use super::{
    agent_process::{RunningAgent, run_at},
    boot_config::set,
    journal_under_test::JournalUnderTest,
};

#[tokio::test]
async fn rule_20_over_a_renewal_no_change_is_lost_or_told_twice_and_no_stream_is() {
    // given
    let journal = JournalUnderTest::start_with(&["--certificate-ttl-secs", "30"]).await;
    set(&journal, "ml", b"before").await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut agent = RunningAgent::start(&mut run_at(&journal, &journal.hardware(1)));
    let first = agent.tells("enrolled").await;
    agent.tells("configured").await;

    // when: the overlay changes all the time while the certificate is renewed
    let (mut told, mut revisions, mut is_renewed) = (Vec::new(), Vec::new(), false);
    while !is_renewed || revisions.len() < 20 {
        let revision = set(&journal, "ml", format!("overlay {}", revisions.len()).as_bytes()).await.revision;
        revisions.push(revision);
        loop {
            let change = agent.next_change().await;
            is_renewed |= change["change"] == "renewed";
            let is_it = change["change"] == "configured" && change["revision"] == revision;
            told.push(change);
            if is_it {
                break;
            }
        }
    }
    agent.tells("subscribed").await;
    agent.signal(Signal::TERM);
    let rest = String::from_utf8(agent.end().await.stdout).unwrap();

    // then
    let of = |name: &str| told.iter().filter(|told| told["change"] == name).collect::<Vec<_>>();
    let configured: Vec<_> = of("configured").iter().filter_map(|told| told["revision"].as_u64()).collect();
    assert_eq!(configured, revisions);
    assert!(of("lost").is_empty() && !rest.contains(r#""change":"lost""#));
    assert_ne!(of("renewed")[0]["serial"], first["serial"]);
    assert!(rest.contains(r#""goodbye":true"#), "{rest}");
}

/// So many agents renew at about one moment.
const WAVE: u8 = 24;

#[tokio::test]
async fn rule_20_a_wave_of_renewals_drops_no_stream() {
    // given
    let journal = JournalUnderTest::start_with(&["--certificate-ttl-secs", "30"]).await;
    let mut agents = Vec::new();
    for number in 1..=WAVE {
        journal.register(&format!("compute-{number:03}"), number).await;
        agents.push(RunningAgent::start(&mut run_at(&journal, &journal.hardware(number))));
    }

    // when: each has renewed twice
    let mut told = Vec::new();
    for agent in &mut agents {
        let mut renewed = 0;
        while renewed < 2 {
            let change = agent.next_change().await;
            renewed += usize::from(change["change"] == "renewed");
            told.push(change);
        }
        agent.tells("subscribed").await;
    }

    // then
    for agent in agents {
        agent.signal(Signal::TERM);
        let rest = String::from_utf8(agent.end().await.stdout).unwrap();
        told.extend(rest.lines().map(|line| serde_json::from_str(line).unwrap()));
    }
    let count = |name: &str| told.iter().filter(|told| told["change"] == name).count();
    assert_eq!((count("lost"), count("degraded"), count("enrolled")), (0, 0, usize::from(WAVE)));
    assert!(told.iter().filter(|told| told["change"] == "stopped").all(|told| told["goodbye"] == true));
}
