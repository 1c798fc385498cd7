//! The machine's watchdog: a device that resets the machine when nobody has written to it for a while.
//!
//! `init::live` keeps [`attend`] up, on the one thread on which the agent lives: an agent that hangs is a machine that is
//! reset. Whether there is a device is the image's choice (its modules).
//!
//! Not here, on purpose: its timeout, which is the driver's parameter; the supervisor of an agent that is not the first
//! process ([`proto::supervisor`]).
//!
//! **Invariant:** it is disarmed on a clean stop only: an agent that is replaced or starts again leaves it armed.

use std::{
    convert::Infallible,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time;

const DEVICE: &str = "/dev/watchdog";
/// Drivers reset after 10 seconds at the soonest, most after 30 or 60.
const EVERY: Duration = Duration::from_secs(3);
/// Written last, it disarms the device (the kernel's watchdog-api).
const MAGIC_CLOSE: &[u8] = b"V";

/// A process opens it once: the device is for one at a time.
static OPEN: Mutex<Option<File>> = Mutex::new(None);

/// Writes to the device for ever; waits for ever where there is none.
///
/// # Errors
/// If the device cannot be used.
pub(super) async fn attend() -> io::Result<Infallible> {
    if !open(Path::new(DEVICE))? {
        return std::future::pending().await;
    }
    let mut turns = time::interval(EVERY);
    loop {
        turns.tick().await;
        #[cfg(feature = "planted-panics")]
        crate::panics::panic_if_asked("watchdog");
        write(b"\0")?;
    }
}

/// Whether there is a device, which is armed by being opened.
fn open(path: &Path) -> io::Result<bool> {
    let mut device = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if device.is_none() {
        *device = match OpenOptions::new().write(true).open(path) {
            Ok(opened) => Some(opened),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if device.is_some() {
            tracing::info!(path = %path.display(), "the watchdog is armed");
        }
    }
    Ok(device.is_some())
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut device = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    device.as_mut().map_or(Ok(()), |device| device.write_all(bytes))
}

/// Disarms the device, if there is one.
pub(super) fn disarm() {
    if let Err(error) = write(MAGIC_CLOSE) {
        tracing::warn!(%error, "the watchdog could not be disarmed: it will reset the machine");
    }
    *OPEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_device_is_written_to_and_disarmed_at_last() {
        assert!(!open(Path::new("/no/such/device")).unwrap());
        let device = tempfile::NamedTempFile::new().unwrap();
        assert!(open(device.path()).unwrap() && open(Path::new("/no/such/device")).unwrap());
        write(b"\0").unwrap();
        disarm();
        assert_eq!(std::fs::read(device.path()).unwrap(), b"\0V");
        write(b"\0").unwrap();
        assert_eq!(std::fs::read(device.path()).unwrap(), b"\0V");
    }
}
