//! Clients that send garbage, too much, too slowly or nothing: they harm nobody but themselves.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::journal_process::{Journal, shared};

use super::client::{connect, get, read};

/// A place is given to whoever asks for it: this is many times the number of places.
const CROWD: usize = 300;
/// What a slow but honest client may take.
const FAIR: Duration = Duration::from_secs(5);
/// What the listener gives a request, and a bit.
const GIVEN_UP: Duration = Duration::from_secs(15);

#[test]
fn garbage_and_excess_are_refused_and_the_next_client_is_served() {
    let journal = shared();
    let address = journal.probes_address();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    let header = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let headers = format!("GET /livez HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(1000));
    let garbage: [&[u8]; 8] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\xff\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        long.as_bytes(),
        header.as_bytes(),
        headers.as_bytes(),
    ];
    for garbage in garbage {
        let mut stream = connect(address).unwrap();
        // It may be cut off while it writes.
        stream.write_all(garbage).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        // A reset, which says no more than an end, loses the answer.
        if let Ok(answer) = read(stream) {
            assert!(
                (400..500).contains(&answer.status),
                "{answer:?} to {:?}",
                &garbage[..11.min(garbage.len())]
            );
        }
        assert_eq!(get(address, "/livez").unwrap().status, 200);
    }
}

#[test]
fn a_body_without_end_is_not_waited_for() {
    let journal = shared();
    let mut stream = connect(journal.probes_address()).unwrap();
    write!(stream, "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n").unwrap();
    let mut begin = [0; 15];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200 OK");
}

#[test]
fn a_crowd_of_silent_connections_keeps_nobody_out() {
    // Of its own: the crowd may push out what other tests ask.
    let journal = Journal::start();
    let address = journal.probes_address();
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let mut stream = connect(address).unwrap();
        if number % 2 == 0 {
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: ").ok();
        }
        crowd.push(stream);
        if number % 30 == 0 {
            assert_eq!(get(address, "/readyz").unwrap().status, 200, "beside {number}");
        }
    }
    assert_eq!(get(address, "/readyz").unwrap().status, 200);
    // The first one made room: it is closed, and not only when its time is over.
    let began = Instant::now();
    assert!(!matches!(crowd[0].read(&mut [0]), Ok(1..)), "it asked for nothing");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_request_that_is_not_done_in_time_is_given_up() {
    let journal = shared();
    let mut stream = connect(journal.probes_address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let began = Instant::now();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nx: ").unwrap();
    // A byte now and then is no reason to wait for the rest.
    while stream.write_all(b"y").is_ok() && !matches!(stream.read(&mut [0; 512]), Ok(0)) {
        assert!(began.elapsed() < GIVEN_UP, "it still waits");
    }
    assert!(began.elapsed() > FAIR, "it was given {:?}", began.elapsed());
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let journal = shared();
    let mut stream = connect(journal.probes_address()).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nalive\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
    }
}
