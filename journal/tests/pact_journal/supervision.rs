//! What a journal tells its supervisor, as systemd with `Type=notify` hears it.

use std::os::unix::net::UnixDatagram;
use std::process::Output;

use crate::journal_process::{DataDirectory, Journal, READY};

/// Listens at a path that lives as long as the process: an environment is given as static text.
fn socket(dir: &DataDirectory) -> (UnixDatagram, &'static str) {
    let path = dir.folder().join("notify").display().to_string();
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(READY)).unwrap();
    (socket, path.leak())
}

fn heard(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("it says something in time");
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn it_is_told_when_the_journal_is_ready_and_when_it_stops() {
    let dir = DataDirectory::init("test");
    let (socket, path) = socket(&dir);
    let mut journal = Journal::serve_with(dir, vec![("NOTIFY_SOCKET", path)]);
    assert_eq!(heard(&socket), "STATUS=reading the log");
    let agents = journal.agents_address().to_string();
    let agents = agents.trim_start_matches("https://");
    let ready = heard(&socket);
    assert!(ready.starts_with("READY=1\nSTATUS=serving agents at ") && ready.contains(agents), "{ready}");
    assert_eq!(journal.terminate(), Some(0));
    assert_eq!(heard(&socket), "STOPPING=1\nSTATUS=stopping");
}

#[test]
fn it_is_told_why_a_journal_does_not_start() {
    let dir = DataDirectory::init("test");
    let (socket, path) = socket(&dir);
    std::fs::remove_file(dir.path().join("server.pem")).unwrap();
    let Output { status, .. } = dir.serve_command().env("NOTIFY_SOCKET", path).output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(heard(&socket), "STATUS=reading the log");
    let end = heard(&socket);
    assert!(end.starts_with("STATUS=SERVER_CERTIFICATE_INVALID: "), "{end}");
}
