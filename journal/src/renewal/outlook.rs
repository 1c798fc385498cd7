//! What operators are told of server certificates: until when each journal's lasts, and what hinders a renewal, with the
//! command that does it by hand. `pact status` shows the warnings, `pact journal members` the ends, /metrics this journal's.
//!
//! **Invariant:** nothing here is older than what [`super::Keeper`] last saw; a journal that does not answer any more keeps
//! the end that it told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use events::vocabulary::{JournalId, Timestamp};
use parking_lot::Mutex;

use super::schedule::{Urgency, Validity};
use super::{Current, validity};

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Outlook {
    shared: Arc<Shared>,
}

struct Shared {
    journal_id: JournalId,
    data_dir: PathBuf,
    current: Current,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// What hinders a renewal.
    trouble: Option<Trouble>,
    /// Of the others, as they said themselves.
    others: BTreeMap<JournalId, OfAnother>,
}

/// What hinders a renewal, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The last try came to nothing.
    Renewal(String),
    /// What was put into the data directory is not fit to be served.
    File(String),
}

/// What another journal says of its server certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfAnother {
    /// When it ends.
    pub not_after: Timestamp,
    /// Whether it should be another one by now, and could not be renewed.
    pub in_trouble: bool,
}

impl Outlook {
    /// Of a journal that serves this data directory with this credential.
    pub fn new(journal_id: JournalId, data_dir: PathBuf, current: Current) -> Self {
        Self { shared: Arc::new(Shared { journal_id, data_dir, current, told: Mutex::default() }) }
    }

    /// The validity of this journal's certificate.
    pub fn validity(&self) -> Option<Validity> {
        validity(&self.shared.current.load())
    }

    /// When the certificate of a journal ends, as far as it is known.
    pub fn not_after(&self, journal: &JournalId) -> Option<Timestamp> {
        if *journal == self.shared.journal_id {
            return self.validity().map(|validity| validity.not_after);
        }
        self.shared.told.lock().others.get(journal).map(|other| other.not_after)
    }

    /// What this journal says of its own certificate to the others.
    pub fn own(&self, now: Timestamp) -> Option<OfAnother> {
        let validity = self.validity()?;
        let in_trouble = validity.is_due(now) && self.shared.told.lock().trouble.is_some();
        Some(OfAnother { not_after: validity.not_after, in_trouble })
    }

    pub(super) fn heard(&self, of: &JournalId, says: OfAnother) {
        self.shared.told.lock().others.insert(of.clone(), says);
    }

    pub(super) fn forget_all_but(&self, members: &[JournalId]) {
        self.shared.told.lock().others.retain(|journal, _| members.contains(journal));
    }

    /// A renewal failed, or all is well again.
    pub(super) fn turn(&self, trouble: Option<Trouble>) {
        self.shared.told.lock().trouble = trouble;
    }

    /// What lies in the data directory is what is served: nothing is wrong with the file any more.
    pub(super) fn file_is_fit(&self) {
        file_is_fit(&mut self.shared.told.lock());
    }

    /// What needs a look, in sentences: this journal's first.
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        let told = self.shared.told.lock();
        let own = told.trouble.as_ref().zip(self.validity()).and_then(|(why, validity)| {
            sentence(&self.shared.journal_id, &self.shared.data_dir.display().to_string(), validity, why, now)
        });
        let others = told.others.iter().filter(|(_, other)| other.in_trouble).map(|(journal, other)| {
            format!(
                "the server certificate of {journal} ends at {} and could not be renewed: `pact status` at {journal} says \
                 what to do",
                other.not_after
            )
        });
        own.into_iter().chain(others).collect()
    }
}

/// A renewal that failed is another matter.
fn file_is_fit(told: &mut Told) {
    if matches!(told.trouble, Some(Trouble::File(_))) {
        told.trouble = None;
    }
}

/// None: it is young, and whatever went wrong has time.
fn sentence(
    journal: &JournalId,
    data_dir: &str,
    validity: Validity,
    trouble: &Trouble,
    now: Timestamp,
) -> Option<String> {
    let why = match trouble {
        Trouble::Renewal(why) => why,
        // Told at once: with this file the journal would not start.
        Trouble::File(why) if validity.urgency(now) == Urgency::None => {
            return Some(format!(
                "{data_dir}/server.pem cannot be served, and {journal} would not start with it: {why}; until {} the \
                 certificate before it is served",
                validity.not_after
            ));
        }
        Trouble::File(why) => why,
    };
    let left = validity.not_after.since(now);
    let (call, ends) = match validity.urgency(now) {
        Urgency::None => return None,
        Urgency::Due => ("", format!("ends at {}", validity.not_after)),
        Urgency::Alert => {
            ("ALERT: ", format!("ends in {} h, at {}", left.as_secs() / 3600, validity.not_after))
        }
        Urgency::Over => ("ALERT: ", format!("ended at {}: nobody trusts this journal", validity.not_after)),
    };
    Some(format!(
        "{call}the server certificate of {journal} {ends}, and could not be renewed: {why}. Put the domain CA's key where a \
         journal finds it (DIR/bootstrap/domain-ca.key), or on the machine of {journal} run: pact-journal renew-certificate \
         --data-dir {data_dir} --domain-ca-key FILE"
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn said(days: u32) -> Option<String> {
        let validity = Validity { not_before: BEGIN, not_after: BEGIN.plus(90 * DAY) };
        let trouble = Trouble::Renewal("nobody holds it".to_owned());
        sentence(&"j2".parse().unwrap(), "/d", validity, &trouble, BEGIN.plus(days * DAY))
    }

    #[test]
    fn a_file_that_cannot_be_served_is_told_at_once() {
        let validity = Validity { not_before: BEGIN, not_after: BEGIN.plus(90 * DAY) };
        let trouble = Trouble::File("it is empty".to_owned());
        let said = sentence(&"j2".parse().unwrap(), "/d", validity, &trouble, BEGIN).unwrap();
        assert!(said.starts_with("/d/server.pem cannot be served") && said.contains("it is empty"), "{said}");
    }

    #[test]
    fn the_file_that_is_served_ends_the_trouble_with_the_file_and_no_other() {
        let of = |trouble| {
            let told = Mutex::new(Told { trouble: Some(trouble), ..Told::default() });
            file_is_fit(&mut told.lock());
            told.into_inner().trouble
        };
        assert_eq!(of(Trouble::File("it is empty".to_owned())), None);
        let renewal = Trouble::Renewal("nobody holds it".to_owned());
        assert_eq!(of(renewal.clone()), Some(renewal));
    }

    #[test]
    fn what_cannot_be_renewed_is_told_with_the_command_and_louder_10_days_before_the_end() {
        assert_eq!(said(60), None);
        for (days, call) in [(61, "the server certificate of j2 ends at "), (80, "ALERT: "), (90, "ALERT: ")]
        {
            let said = said(days).unwrap();
            assert!(said.starts_with(call), "{said}");
            assert!(said.contains("nobody holds it"), "{said}");
            assert!(
                said.ends_with("pact-journal renew-certificate --data-dir /d --domain-ca-key FILE"),
                "{said}"
            );
        }
        assert!(said(80).unwrap().contains("ends in 240 h"));
        assert!(said(90).unwrap().contains("nobody trusts this journal"));
    }
}
