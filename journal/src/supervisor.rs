//! Tells whoever supervises this process how it stands: the notify protocol of systemd (sd_notify(3)), which other
//! supervisors speak too.
//!
//! `serve` calls it: READY=1 when it serves, STOPPING=1 when it is asked to stop, STATUS=… as a line for people.
//!
//! Not here, on purpose: a watchdog, and NOTIFY_SOCKET for children, of which a journal has none.
//!
//! **Invariant:** nothing that goes wrong here stops a journal, or makes it wait.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use proto::outcome::Failure;

use crate::data_dir::Endpoints;

/// Where the supervisor listens.
pub const VARIABLE: &str = "NOTIFY_SOCKET";

/// See the module. Without a supervisor it tells nobody.
#[derive(Debug)]
pub struct Supervisor(Option<OsString>);

impl Supervisor {
    /// The one that the environment names.
    pub fn of_process() -> Self {
        Self(std::env::var_os(VARIABLE).filter(|path| !path.is_empty()))
    }

    /// Says one or more assignments, a line each.
    pub fn tell(&self, assignments: &str) {
        let Some(path) = &self.0 else { return };
        if let Err(error) = send(path.as_bytes(), assignments) {
            tracing::warn!(%error, "the supervisor at NOTIFY_SOCKET could not be told");
        }
    }

    /// It serves.
    pub fn tell_ready(&self, endpoints: &Endpoints) {
        let [agents, operators] = [endpoints.agent, endpoints.operator]
            .map(|address| address.map_or_else(|| "none".to_owned(), |address| address.to_string()));
        self.tell(&format!("READY=1\nSTATUS=serving agents at {agents}, operators at {operators}"));
    }

    /// It ends, and why.
    pub fn tell_end(&self, failure: &Failure) {
        let why = failure.to_string().replace('\n', " ");
        self.tell(&format!("STATUS={}: {why}", failure.reason_text()));
    }
}

/// A path, or with `@` in front a name in the abstract namespace. Never waits: a full queue is an error.
fn send(path: &[u8], assignments: &str) -> io::Result<()> {
    let address = match path.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(assignments.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_socket_at_a_path_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Supervisor(Some(path.into_os_string())).tell("READY=1");
        assert_eq!(heard(&socket), "READY=1");
    }

    #[test]
    fn a_socket_in_the_abstract_namespace_is_told() {
        let name = format!("pact-supervisor-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Supervisor(Some(format!("@{name}").into())).tell_end(&Failure::named("LOG_UNWRITABLE", "no\nspace"));
        assert_eq!(heard(&socket), "STATUS=LOG_UNWRITABLE: no space");
    }

    #[test]
    fn nobody_who_listens_is_no_failure() {
        Supervisor(None).tell("READY=1");
        Supervisor(Some("/no/such/socket".into())).tell("READY=1");
    }
}
