//! Where the running agent is asked how it is.
//!
//! **Invariant:** it runs in a task of its own, and answers one after another, each within a second: who asks holds up nobody but
//! others who ask.

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        net::UnixStream as Blocking,
    },
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::FutureExt;
use rustix::process::geteuid;
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinHandle,
    time,
};

use super::Snapshot;
use crate::panics;

/// Who does not read is left.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// See the module. Dropped, it is closed and its socket removed.
#[derive(Debug)]
pub(crate) struct Desk {
    socket: PathBuf,
    task: JoinHandle<()>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.task.abort();
        fs::remove_file(&self.socket).ok();
    }
}

impl Desk {
    /// Opens it at a socket that nobody answers at.
    ///
    /// # Errors
    /// If another agent answers there, or the socket cannot be made.
    pub(crate) fn open(socket: &Path, snapshot: watch::Receiver<Snapshot>) -> io::Result<Self> {
        if let Some(directory) = socket.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        if Blocking::connect(socket).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another agent answers there"));
        }
        // One that has ended otherwise than well left it.
        fs::remove_file(socket)
            .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
        let listener = UnixListener::bind(socket)?;
        fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
        let task = tokio::spawn(answer_all(listener, snapshot));
        Ok(Self { socket: socket.to_owned(), task })
    }

    /// Whether it answers no more, as after a panic.
    pub(crate) fn is_closed(&self) -> bool {
        self.task.is_finished()
    }
}

/// One who breaks an answer is the only one who gets none: the node may have nothing to show for hours, and nobody looks meanwhile
/// whether this still goes on.
async fn answer_all(listener: UnixListener, snapshot: watch::Receiver<Snapshot>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let told = snapshot.borrow().clone();
                let answered = AssertUnwindSafe(time::timeout(TOLD_WITHIN, answer(stream, &told)));
                if let Err(panic) = answered.catch_unwind().await {
                    tracing::error!(panic = panics::told(&*panic), "an answer about the status has panicked");
                }
            }
            // No descriptor is left: perhaps in a moment.
            Err(_) => time::sleep(TOLD_WITHIN).await,
        }
    }
}

/// The file's mode keeps others out; where somebody has changed it, this does.
async fn answer(mut stream: UnixStream, told: &Snapshot) -> io::Result<()> {
    #[cfg(feature = "planted-panics")]
    panics::panic_if_asked("desk");
    let asker = stream.peer_cred()?.uid();
    if asker == 0 || asker == geteuid().as_raw() {
        let mut document = serde_json::to_vec(told)?;
        document.push(b'\n');
        stream.write_all(&document).await?;
        stream.shutdown().await?;
    }
    Ok(())
}
