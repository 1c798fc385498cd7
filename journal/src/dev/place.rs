//! Where the domain of `pact-journal dev` lies: a folder for each journal, in a temporary directory or one that stays.
//!
//! **Invariant:** a journal of another domain is never taken for one of these: it would be served on other ports, with its
//! operator's credential told on stdout.

use std::fs;
use std::path::{Path, PathBuf};

use proto::outcome::Failure;
use tempfile::TempDir;

use super::DOMAIN;
use crate::data_dir::Identity;

/// A quorum has no more journals.
const MOST: u8 = 5;

/// See the module.
pub(super) enum Place {
    Temporary(TempDir),
    Kept(PathBuf),
}

/// The name of a journal, and of its folder.
pub(super) fn name_of(number: u8) -> String {
    format!("j{number}")
}

impl Place {
    /// # Errors
    /// If the directory asked for cannot be used, or holds something else.
    pub(super) fn new(asked: Option<&Path>) -> Result<Self, Failure> {
        let Some(asked) = asked else {
            let made = tempfile::Builder::new().prefix("pact-dev-").tempdir();
            let cannot = |error| Failure::other(format!("no temporary directory could be made: {error}"));
            return made.map(Self::Temporary).map_err(cannot);
        };
        if asked.join("identity.json").exists() {
            let told = format!("{} is the data directory of a journal: serve it", asked.display());
            return Err(Failure::Usage(told));
        }
        for name in (1..=MOST).map(name_of) {
            if asked.join(&name).join("identity.json").exists() && !is_made_by_dev(&asked.join(&name)) {
                let told = format!("{}/{name} is a journal of another domain: serve it", asked.display());
                return Err(Failure::Usage(told));
            }
        }
        let absolute = std::path::absolute(asked);
        let unusable = |error| Failure::Usage(format!("{} cannot be used: {error}", asked.display()));
        absolute.map(Self::Kept).map_err(unusable)
    }

    /// The directory of the whole domain.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }

    /// Where a journal's data lie, or will.
    pub(super) fn data_dir(&self, number: u8) -> PathBuf {
        self.folder().join(name_of(number))
    }

    /// How many journals there are.
    pub(super) fn present(&self) -> u8 {
        let is_there = |number: &u8| fs::symlink_metadata(self.data_dir(*number)).is_ok();
        u8::try_from((1..=MOST).take_while(is_there).count()).unwrap_or(MOST)
    }

    /// How many there shall be.
    ///
    /// # Errors
    /// If there are more than were asked for: the rest of a quorum is none.
    pub(super) fn wanted(&self, asked: Option<u8>) -> Result<u8, Failure> {
        let present = self.present();
        match asked {
            Some(asked) if asked < present => Err(Failure::Usage(format!(
                "{} holds {present} journals, and most of them must serve: leave --journals out",
                self.folder().display()
            ))),
            Some(asked) => Ok(asked),
            None => Ok(present.max(1)),
        }
    }

    /// Deletes what is temporary.
    pub(super) fn leave(self) {
        let Self::Temporary(folder) = self else { return };
        let path = folder.path().to_owned();
        if let Err(error) = folder.close() {
            tracing::warn!(%error, folder = %path.display(), "the temporary directory could not be deleted");
        }
    }
}

fn is_made_by_dev(data_dir: &Path) -> bool {
    let text = fs::read(data_dir.join("identity.json")).unwrap_or_default();
    serde_json::from_slice::<Identity>(&text).is_ok_and(|identity| identity.domain_id.as_str() == DOMAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(journals: u8) -> (TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        (1..=journals).for_each(|number| fs::create_dir(folder.path().join(name_of(number))).unwrap());
        let place = Place::Kept(folder.path().to_owned());
        (folder, place)
    }

    #[test]
    fn what_is_there_goes_on_and_may_grow_but_not_shrink() {
        for (present, asked, wanted) in [
            (0, None, Some(1)),
            (0, Some(3), Some(3)),
            (1, Some(3), Some(3)),
            (3, None, Some(3)),
            (3, Some(1), None),
        ] {
            let (_folder, place) = holding(present);
            assert_eq!(place.wanted(asked).ok(), wanted, "{present} {asked:?}");
        }
    }
}
