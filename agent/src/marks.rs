//! How many sessions run on the node: one for each file in a directory, which the prolog of a job writes and its epilog removes.
//!
//! The node says the number on its stream, and `pact node decommission` is refused while there are any. A directory, because
//! only the scheduler knows what a session is: jobs stand in no utmp, a diskless image often has none, and a file outlives a
//! restart of the agent.
//!
//! [`crate::run`] looks. Not here, on purpose: what a journal makes of it, and whose sessions they are: names are not read.
//!
//! **Invariant:** a directory that is missing, or cannot be read, is no session; it keeps no node from anything.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{self, Instant};

/// Between two looks, and so between two words about it. A look reads one directory in memory.
const EVERY: Duration = Duration::from_secs(2);
/// The name of the directory, beside the socket of `pact-agent status`.
const NAME: &str = "sessions";

/// See the module.
#[derive(Debug)]
pub(crate) struct Marks {
    folder: Option<PathBuf>,
    next: Instant,
    is_readable: bool,
}

/// Where the marks lie, if the agent's files lie there.
pub(crate) fn folder(beside: &Path) -> Option<PathBuf> {
    Some(beside.parent()?.join(NAME))
}

impl Marks {
    /// Marks in this directory; none: there are no sessions.
    pub(crate) fn in_folder(folder: Option<PathBuf>) -> Self {
        Self { folder, next: Instant::now(), is_readable: true }
    }

    /// How many there are, at the next look. May be dropped while it waits, and called again.
    pub(crate) async fn look(&mut self) -> u32 {
        let Some(folder) = &self.folder else { return std::future::pending().await };
        time::sleep_until(self.next).await;
        self.next = Instant::now() + EVERY;
        let count = count(folder);
        if let Err(error) = &count
            && self.is_readable
        {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "sessions cannot be counted: none is told of");
        }
        self.is_readable = count.is_ok();
        count.unwrap_or(0)
    }
}

/// Hidden files are not counted: a mark may be written beside and moved into its place.
fn count(folder: &Path) -> io::Result<u32> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut count = 0_u32;
    for entry in entries {
        let is_hidden = entry?.file_name().as_encoded_bytes().starts_with(b".");
        count = count.saturating_add(u32::from(!is_hidden));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn each_file_is_a_session_and_a_hidden_one_is_none() {
        let place = tempfile::tempdir().unwrap();
        let folder = folder(&place.path().join("agent.sock")).unwrap();
        assert_eq!(count(&folder).unwrap(), 0, "nobody has made the directory");
        fs::create_dir(&folder).unwrap();
        assert_eq!(count(&folder).unwrap(), 0);
        for name in ["4711", "4712.0", ".4713.new"] {
            fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!(count(&folder).unwrap(), 2);
        fs::remove_file(folder.join("4711")).unwrap();
        assert_eq!(count(&folder).unwrap(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join(NAME);
        fs::write(&file, "").unwrap();
        assert!(count(&file).is_err());
    }

    #[tokio::test]
    async fn the_first_look_comes_at_once_and_the_next_one_later() {
        let place = tempfile::tempdir().unwrap();
        let mut marks = Marks::in_folder(Some(place.path().join(NAME)));
        let looked = time::timeout(EVERY, marks.look()).await;
        assert_eq!(looked, Ok(0));
        let is_early = marks.look().now_or_never();
        assert_eq!(is_early, None);
        assert!(marks.next.duration_since(Instant::now()) <= EVERY);
    }
}
