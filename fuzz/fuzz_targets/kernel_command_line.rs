//! The kernel command line, as a boot loader and whoever edits it leave it: `agent::kernel_command_line`.
//!
//! What is read, written as words again, is read the same; 4 KB of other words around it change nothing.

#![no_main]

use std::os::unix::ffi::OsStrExt;

use libfuzzer_sys::fuzz_target;

/// Of `agent::journals`, which the file names.
mod journals {
    pub const LEARNED: usize = 64;
}
#[path = "../../agent/src/kernel_command_line.rs"]
mod kernel_command_line;

use kernel_command_line::KernelCommandLine;

/// Other words: flags, values, quotes in pairs, letters of no alphabet.
fn noise() -> Vec<u8> {
    b"quiet root=UUID=1 \xff\xfe x=\"a pact.ca=/no b\" pact.x=1 pactca=/no \"y z\" ".repeat(4096 / 68)
}

/// Its words, each value between quotes.
fn words(told: &KernelCommandLine) -> Vec<u8> {
    let mut line = Vec::new();
    let mut word = |name: &[u8], value: &[u8]| {
        line.extend([name, b"=\"", value, b"\" "].concat());
    };
    for journal in &told.journals {
        word(b"pact.journal", journal.to_string().as_bytes());
    }
    if let Some(ca) = &told.ca {
        word(b"pact.ca", ca.as_os_str().as_bytes());
    }
    if let Some(built_at) = &told.image_built_at {
        word(b"pact.image_built_at", built_at.to_string().as_bytes());
    }
    if let Some(token) = &told.token {
        word(b"pact.token", token.as_str().as_bytes());
    }
    if let Some(ip) = &told.ip {
        word(b"pact.ip", ip.to_string().as_bytes());
    }
    for server in &told.dns {
        word(b"pact.dns", server.to_string().as_bytes());
    }
    if let Some(hostname) = &told.hostname {
        word(b"pact.hostname", hostname.as_str().as_bytes());
    }
    line
}

fn assert_same(one: &KernelCommandLine, line: &[u8]) {
    let Ok(other) = KernelCommandLine::parse(line) else {
        panic!("it is sound: {}", String::from_utf8_lossy(line))
    };
    assert_eq!((&one.journals, &one.ca, one.ip), (&other.journals, &other.ca, other.ip));
    assert_eq!((&one.dns, &one.hostname), (&other.dns, &other.hostname));
    assert_eq!(one.image_built_at, other.image_built_at);
    assert_eq!(
        one.token.as_ref().map(|token| token.as_str()),
        other.token.as_ref().map(|token| token.as_str())
    );
}

fuzz_target!(|line: &[u8]| {
    let told = match KernelCommandLine::parse(line) {
        Ok(told) => told,
        Err(error) => {
            assert!(error.to_string().starts_with("kernel command line: pact."), "{error}");
            return;
        }
    };
    assert!(told.journals.len() <= journals::LEARNED);
    // The other words before it or behind it: both would take twice the time.
    let is_before = line.len().is_multiple_of(2);
    if is_before {
        assert_same(&told, &[&noise(), line].concat());
    }
    // A value with a quote in it cannot be written between quotes.
    let quote = |bytes: &[u8]| bytes.contains(&b'"');
    let quoted = told.ca.as_ref().is_some_and(|ca| quote(ca.as_os_str().as_bytes()))
        || told.token.as_ref().is_some_and(|token| quote(token.as_str().as_bytes()));
    if !quoted {
        let words = words(&told);
        let behind = if is_before { Vec::new() } else { noise() };
        assert_same(&told, &[words, behind].concat());
    }
});
