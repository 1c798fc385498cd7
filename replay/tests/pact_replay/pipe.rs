//! A reader that has seen enough (`pact-replay … | head`) ends the process quietly.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::binary::path;
use crate::story::{registered, sound};

#[test]
fn a_closed_pipe_ends_quietly_with_exit_code_0() {
    // given a log whose facts fill more than a pipe holds
    let mut log = sound();
    (100..500).for_each(|number| log.append(registered(number), &[]));
    let log = log.close();
    let orders: [&[&str]; 3] = [
        &["export", path(log.path()), "--format", "jsonl"],
        &["state", path(log.path())],
        &["state", path(log.path()), "-o", "json"],
    ];
    for order in orders {
        // when a reader takes the first bytes and goes
        let mut process = Command::new(env!("CARGO_BIN_EXE_pact-replay"))
            .args(order)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::with_capacity(16, process.stdout.take().unwrap());
        assert!(!reader.fill_buf().unwrap().is_empty());
        drop(reader);
        // then
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{order:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{order:?}: {output:?}");
    }
}
