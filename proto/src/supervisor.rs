//! Tells whoever supervises this process how it stands: the notify protocol of systemd (sd_notify(3)), which other
//! supervisors speak too.
//!
//! `pact-journal serve` and `pact-agent run` call it: READY=1 when they serve, STOPPING=1 when they are asked to stop,
//! WATCHDOG=1 as often as the supervisor wants to hear it, STATUS=… as a line for people.
//!
//! Not here, on purpose: NOTIFY_SOCKET for children.
//!
//! **Invariant:** nothing that goes wrong here stops a process, or makes it wait.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::outcome::Failure;

/// Where the supervisor listens.
pub const VARIABLE: &str = "NOTIFY_SOCKET";
/// How long it waits for a sign of life, in microseconds.
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
/// Whose sign of life it waits for; absent, of whoever was started.
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// See the module. Without a supervisor it tells nobody.
#[derive(Debug, Clone)]
pub struct Supervisor(Option<OsString>);

impl Supervisor {
    /// The one that the environment names.
    pub fn of_process() -> Self {
        Self::at(std::env::var_os(VARIABLE))
    }

    /// The one that listens there: a path, or a name after an `@`.
    pub fn at(socket: Option<OsString>) -> Self {
        Self(socket.filter(|path| !path.is_empty()))
    }

    /// Says one or more assignments, a line each.
    pub fn tell(&self, assignments: &str) {
        let Some(path) = &self.0 else { return };
        if let Err(error) = send(path.as_bytes(), assignments) {
            tracing::warn!(%error, "the supervisor at NOTIFY_SOCKET could not be told");
        }
    }

    /// It ends, and why.
    pub fn tell_end(&self, failure: &Failure) {
        let why = failure.to_string().replace('\n', " ");
        self.tell(&format!("STATUS={}: {why}", failure.reason_text()));
    }

    /// How often it wants to hear WATCHDOG=1: twice in the time that it waits (sd_watchdog_enabled(3)).
    pub fn watchdog_every(&self) -> Option<Duration> {
        self.0.as_ref()?;
        let variable = |name| std::env::var(name).ok();
        watchdog(variable(WATCHDOG_USEC)?, variable(WATCHDOG_PID), std::process::id())
    }
}

fn watchdog(usec: String, pid: Option<String>, me: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(me)) {
        return None;
    }
    let wait = usec.parse().ok().filter(|usec| *usec > 0).map(Duration::from_micros)?;
    Some(wait / 2)
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
        let path = std::env::temp_dir().join(format!("pact-notify-{}", std::process::id()));
        let socket = UnixDatagram::bind(&path).unwrap();
        Supervisor::at(Some(path.clone().into_os_string())).tell("READY=1");
        assert_eq!(heard(&socket), "READY=1");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_socket_in_the_abstract_namespace_is_told() {
        let name = format!("pact-supervisor-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let failure = Failure::named("LOG_UNWRITABLE", "no\nspace");
        Supervisor::at(Some(format!("@{name}").into())).tell_end(&failure);
        assert_eq!(heard(&socket), "STATUS=LOG_UNWRITABLE: no space");
    }

    #[test]
    fn nobody_who_listens_is_no_failure() {
        for nobody in [None, Some("".into()), Some("/no/such/socket".into())] {
            Supervisor::at(nobody).tell("READY=1");
        }
    }

    #[test]
    fn a_sign_of_life_is_given_twice_in_its_time_by_whom_it_is_asked_of() {
        let every = |usec: &str, pid: Option<&str>| watchdog(usec.to_owned(), pid.map(str::to_owned), 7);
        assert_eq!(every("3000000", None), Some(Duration::from_millis(1500)));
        assert_eq!(every("3000000", Some("7")), Some(Duration::from_millis(1500)));
        for (usec, pid) in
            [("3000000", Some("8")), ("0", None), ("x", None), ("-1", None), ("3000000", Some(""))]
        {
            assert_eq!(every(usec, pid), None, "{usec} {pid:?}");
        }
    }
}
