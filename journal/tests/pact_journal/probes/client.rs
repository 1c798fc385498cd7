//! A client of plain HTTP/1.1, as small as a probe: one request, one answer, and the connection ends.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer takes milliseconds.
const ANSWERED: Duration = Duration::from_secs(20);

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// GET.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    ask(address, "GET", path)
}

/// Any method.
pub fn ask(address: SocketAddr, method: &str, path: &str) -> io::Result<Answer> {
    let mut stream = connect(address)?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")?;
    read(stream)
}

/// An open connection.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWERED))?;
    Ok(stream)
}

/// Reads until the connection ends.
pub fn read(mut stream: TcpStream) -> io::Result<Answer> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer { status: status.ok_or(io::ErrorKind::InvalidData)?, body: body.to_owned() })
}
