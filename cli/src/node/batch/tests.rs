//! How parts go to a journal and their answers come back, with a journal of one line of code.

use std::{
    cell::{Cell, RefCell},
    fmt::Write,
};

use proto::{channel::ConnectionRefusal, outcome::Exit, pb, reason::Reason, refusal::Refusal};
use tokio::runtime;

use super::*;

/// A file of nodes, one of which the journal of these tests refuses.
fn file(count: usize) -> Vec<u8> {
    let mut file = "node_id,mac\n".to_owned();
    for row in 0..count {
        writeln!(file, "n{row},02:00:00:00:{:02x}:{:02x}", row / 256, row % 256).unwrap();
    }
    file.into_bytes()
}

#[test]
fn a_file_is_read_to_its_end_by_a_thread_of_its_own() {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let sizes = runtime.block_on(async {
        let mut parts = parts(Rows::open(std::io::Cursor::new(file(2500))).unwrap());
        let mut sizes = Vec::new();
        while let Some(part) = parts.recv().await {
            sizes.push(part.unwrap().rows.len());
        }
        sizes
    });
    assert_eq!(sizes, [1000, 1000, 500]);
}

type Asked<'j> = &'j dyn Fn(&BatchRegisterNodesRequest) -> Result<Vec<RowOutcome>, Failure>;

/// Decides a file; the answer of each part comes after as many turns as `wait` says for the part's number. Also says how
/// many parts were under way at once.
fn decided(file: Vec<u8>, wait: impl Fn(u32) -> u64, journal: Asked<'_>) -> (Result<(), Stop>, Report, u32) {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut rows = Rows::open(file.as_slice()).unwrap();
        let (send, parts) = mpsc::channel(100);
        while let Some(part) = rows.part().transpose() {
            send.try_send(part).unwrap();
        }
        drop(send);
        let (asked, under_way, most) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let ask = async |request: BatchRegisterNodesRequest| {
            let part = asked.replace(asked.get() + 1);
            under_way.set(under_way.get() + 1);
            most.set(most.get().max(under_way.get()));
            for _ in 0..wait(part) {
                task::yield_now().await;
            }
            under_way.set(under_way.get() - 1);
            let rows = journal(&request)?.into_iter().map(pb::BatchRow::from).collect();
            Ok(BatchRegisterNodesResponse { rows, seq: 0 })
        };
        let mut report = Report::default();
        let result = decide(parts, ask, &mut report, |_, _| {}).await;
        (result, report, most.get())
    })
}

fn all_registered(request: &BatchRegisterNodesRequest) -> Result<Vec<RowOutcome>, Failure> {
    Ok(vec![RowOutcome::Registered { warnings: vec![] }; request.rows.len()])
}

#[test]
fn answers_stand_in_the_order_of_the_lines_whichever_comes_first() {
    let refuse = |request: &BatchRegisterNodesRequest| {
        let refused = |row: &pb::RegisterNodeRequest| match row.node_id.as_str() {
            "n2500" => Refusal::new(Reason::NodeAlreadyEnrolled, "it is").into(),
            "n7" => RowOutcome::Unchanged,
            _ => RowOutcome::Registered { warnings: vec![] },
        };
        Ok(request.rows.iter().map(refused).collect())
    };
    let (result, report, _) = decided(file(5500), |part| 100 - u64::from(part), &refuse);
    result.unwrap();
    assert_eq!((report.registered, report.unchanged, report.failed), (5498, 1, 1));
    assert!(report.rows.iter().map(|row| row.line).eq(2..5502));
    let faults: Vec<_> = report.faults().map(|(row, fault)| (row.line, fault.reason.as_str())).collect();
    assert_eq!(faults, [(2502, "NODE_ALREADY_ENROLLED")]);
}

#[test]
fn no_more_parts_are_under_way_than_allowed() {
    let (result, _, most) = decided(file(20_000), |_| 50, &all_registered);
    result.unwrap();
    assert_eq!(most as usize, PARTS_UNDER_WAY);
}

#[test]
fn rows_that_fail_here_are_not_asked_for_and_keep_their_place() {
    let file = b"node_id,mac\nn1,02:00:00:00:00:01\nN2,02:00:00:00:00:02\nn3,02:00:00:00:00:03\n".to_vec();
    let asked = RefCell::new(Vec::new());
    let note = |request: &BatchRegisterNodesRequest| {
        asked.borrow_mut().extend(request.rows.iter().map(|row| row.node_id.clone()));
        all_registered(request)
    };
    let (result, report, _) = decided(file, |_| 0, &note);
    result.unwrap();
    assert_eq!(*asked.borrow(), ["n1", "n3"]);
    assert!(report.rows.iter().map(|row| row.line).eq(2..5));
    assert_eq!((report.registered, report.failed), (2, 1));
}

#[test]
fn a_file_without_a_sound_row_asks_nothing() {
    let never = |_: &BatchRegisterNodesRequest| panic!("it was asked");
    let (result, report, _) = decided(b"node_id,mac\nN1,\n".to_vec(), |_| 0, &never);
    result.unwrap();
    assert_eq!(report.failed, 1);
}

#[test]
fn an_answer_with_too_few_or_too_many_rows_is_invalid() {
    for more in [-1, 1] {
        let wrong = move |request: &BatchRegisterNodesRequest| {
            Ok(vec![
                RowOutcome::Registered { warnings: vec![] };
                request.rows.len().saturating_add_signed(more)
            ])
        };
        let (result, report, _) = decided(file(3), |_| 0, &wrong);
        let Err(Stop::Journal(failure)) = result else { panic!("{result:?}") };
        assert_eq!(failure.reason_text(), "ANSWER_INVALID");
        assert!(report.rows.is_empty());
    }
}

#[test]
fn a_lost_connection_says_how_far_it_came_and_that_again_is_safe() {
    let lose = |request: &BatchRegisterNodesRequest| match request.rows[0].node_id.as_str() {
        "n2000" => Err(Failure::Unreachable("the connection was lost".to_owned())),
        _ => all_registered(request),
    };
    let (result, report, _) = decided(file(9000), |_| 10, &lose);
    let Err(Stop::Journal(failure)) = result else { panic!("{result:?}") };
    let failure = remarked(failure, &report);
    assert_eq!(failure.exit(), Exit::Unreachable);
    assert_eq!(
        failure.to_string(),
        "the connection was lost; answered up to line 2001: 2000 registered, 0 unchanged, 0 failed; some rows after \
         it may be registered too; running it again is safe: it changes none of them"
    );
}

#[test]
fn what_is_refused_at_once_is_told_as_it_is() {
    for failure in [
        Failure::from(Refusal::new(Reason::RoleNotAllowed, "not you")),
        Failure::ConnectionRefused(ConnectionRefusal::Revoked),
    ] {
        assert_eq!(remarked(failure.clone(), &Report::default()), failure);
    }
}

#[test]
fn after_a_dry_run_nothing_is_said_to_be_registered() {
    let report = Report { is_dry_run: true, ..Report::default() };
    let told = remarked(Failure::Deadline("late".to_owned()), &report).to_string();
    assert!(told.ends_with("nothing was recorded"), "{told}");
}
