//! Speed.
use events::certificate::*;
use events::fact::*;
use events::invariants::Auditor;
use events::node::*;
use events::stream::*;
use events::vocabulary::*;
use events::*;
fn main() {
    let n: u32 = 100_000;
    let t0 = Timestamp::from_millis(1_767_225_600_000);
    let a = AuthorityId::new(t0, 1);
    let mut v = std::collections::BTreeMap::new();
    let mut recs = vec![];
    let mut seq = 0u64;
    let mut push = |fact: Fact, secs: u64| {
        seq += 1;
        let mut id = [0; 16];
        id.copy_from_slice(&Digest::of(&seq.to_be_bytes()).as_bytes()[..16]);
        let streams = fact
            .streams()
            .into_iter()
            .map(|name| {
                let e = v.entry(name.clone()).or_insert(0u64);
                *e += 1;
                StreamVersion { name, version: *e }
            })
            .collect();
        let t = t0.plus(std::time::Duration::from_secs(secs));
        recs.push(Record {
            seq,
            streams,
            append_id: AppendId::new(id),
            decided_at: t,
            recorded_at: t,
            principal: Principal::Anonymous,
            proposed_by: "j1".parse().unwrap(),
            source: None,
            assurance: None,
            fact,
        });
    };
    push(
        Fact::Domain(domain::Event::Created(domain::Created {
            domain_id: "hpc".parse().unwrap(),
            log_id: LogId::new([0; 16]),
            domain_ca: Der::new(vec![1]),
            founder: "j1".parse().unwrap(),
        })),
        0,
    );
    let der = Der::new(vec![1; 500]);
    push(
        Fact::Authority(
            a,
            authority::Event::Announced(authority::Announced {
                generation: 1,
                journal_id: "j1".parse().unwrap(),
                serial: Serial::from_random([255; 16]),
                sha256: CertificateHash::of(der.as_bytes()),
                not_before: t0,
                not_after: Timestamp::from_millis(2_000_000_000_000),
                der,
            }),
        ),
        0,
    );
    let hw = |i: u32| {
        let b = i.to_be_bytes();
        HardwareIdentity {
            macs: [Mac::new([2, 0, b[0], b[1], b[2], b[3]]).unwrap()].into(),
            bmc_serial: Some(format!("SN{i}").parse().unwrap()),
            uuid: None,
        }
    };
    for i in 0..n {
        push(
            Fact::Node(
                format!("node-{i:06}").parse().unwrap(),
                Event::Registered { epoch: 1, hardware: hw(i), labels: Labels::default() },
            ),
            1,
        );
    }
    for i in 0..n {
        let id: NodeId = format!("node-{i:06}").parse().unwrap();
        let mut d = vec![0; 500];
        d[..4].copy_from_slice(&i.to_be_bytes());
        let der = Der::new(d);
        let h = Digest::of(&i.to_be_bytes());
        let mut s = [0; 16];
        s.copy_from_slice(&h.as_bytes()[..16]);
        let serial = Serial::from_random(s);
        let t = t0.plus(std::time::Duration::from_secs(2));
        push(
            Fact::Node(
                id.clone(),
                Event::CertificateIssued {
                    cause: Cause::Enrolled,
                    epoch: 1,
                    certificate: Certificate {
                        serial,
                        spki_sha256: KeyHash::of(s.as_slice()),
                        sha256: CertificateHash::of(der.as_bytes()),
                        not_before: t0,
                        not_after: t.plus(std::time::Duration::from_secs(259200)),
                        renew_after: t,
                        authority: a,
                    },
                    der,
                    supersedes: vec![],
                    presented: Some(hw(i)),
                    boot_id: None,
                },
            ),
            2,
        );
        push(Fact::Node(id, Event::EnrollmentConfirmed { serial }), 2);
    }
    let bodies: Vec<_> = recs.iter().map(|r| codec::encode_body(r).unwrap()).collect();
    let t = std::time::Instant::now();
    let mut au = Auditor::default();
    for r in &recs {
        let x = au.check(r);
        assert!(x.is_empty(), "{x:?}");
    }
    println!("audit {:.0}/s", recs.len() as f64 / t.elapsed().as_secs_f64());
    let t = std::time::Instant::now();
    let mut vi = views::Views::default();
    for r in &recs {
        vi.fold(r);
    }
    println!("fold {:.0}/s", recs.len() as f64 / t.elapsed().as_secs_f64());
    let t = std::time::Instant::now();
    let mut au = Auditor::default();
    let mut c = codec::Chain::start(LogId::new([0; 16]), CertificateHash::of(&[1]));
    for b in &bodies {
        c = c.next(b);
        let r = codec::decode_body(b).unwrap();
        au.check(&r);
    }
    println!("all {:.0}/s {c}", recs.len() as f64 / t.elapsed().as_secs_f64());
}
