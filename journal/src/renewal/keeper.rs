//! Keeps a journal's server certificate alive: renews it when it is due, and takes up another one that was put into the
//! data directory by hand.
//!
//! A new key is made for each certificate. If this journal holds the domain CA's key it signs by itself, else it asks the
//! other members one after another over the cluster's port. The new credential is checked as clients will, written, and only
//! then served; connections that are open go on.
//!
//! Not here: when ([`super::schedule`]), and what operators are told ([`super::outlook`]).

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use events::vocabulary::{Der, DomainId, JournalId};
use proto::pem_file::{Credential, PemFileError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::outlook::{OfAnother, Trouble};
use super::schedule::Urgency;
use super::{Current, Outlook, validity};
use crate::clock;
use crate::cluster::{Dialer, hosts_of, names_of};
use crate::data_dir::{DataDirError, replace};
use crate::domain_ca::{MakeError, OwnRequest, ServerCertificateError, certificates_pem};
use crate::log::Log;
use crate::random::{self, RandomError};
use crate::server_credential::{self, DomainCaError, DomainCaFiles, Purpose, ServerCredentialError};

/// How often the file is looked at: a `stat`.
const TICK: Duration = Duration::from_secs(1);
/// How often the other journals are asked about their certificates, which change once in weeks.
const ASK_OTHERS: Duration = Duration::from_secs(10);

/// See the module.
pub struct Keeper {
    /// Who the other journals are.
    pub log: Log,
    /// The domain.
    pub domain_id: DomainId,
    /// This journal.
    pub journal_id: JournalId,
    /// Where the file lies.
    pub data_dir: PathBuf,
    /// Names that the certificate must have.
    pub advertise: Vec<String>,
    /// Whom all trust.
    pub domain_ca: Der,
    /// What is served.
    pub current: Current,
    /// What operators are told.
    pub outlook: Outlook,
    /// The way to the others.
    pub dialer: Dialer,
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
enum NotRenewed {
    #[error("no journal that answers holds the domain CA key{0}")]
    NoKey(String),
    #[error("the domain CA beside this journal is not that of its domain")]
    OtherDomain,
    #[error("the domain CA key here cannot be used: {0}")]
    DomainCa(String),
    #[error("no key could be made")]
    Make(#[from] MakeError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Sign(#[from] ServerCertificateError),
    #[error("what was signed cannot be used")]
    Unfit(#[from] PemFileError),
    #[error("what was signed would not do")]
    Refused(#[from] ServerCredentialError),
    #[error(transparent)]
    Write(#[from] DataDirError),
    #[error("the domain CA ends no later than the certificate: replace the domain CA")]
    NoLonger,
}

/// A file as `stat` sees it: another one was put in its place, or it was written anew.
type Seen = Option<(SystemTime, u64)>;

impl Keeper {
    /// Keeps it for as long as the journal runs.
    pub async fn run(self) {
        let path = self.data_dir.join(server_credential::FILE);
        let mut asked_to_look = signal(SignalKind::hangup()).ok();
        // Looked at once in any case: it may have been replaced while the journal waited for its quorum.
        let (mut seen, mut next_try, mut others) = (None, Instant::now(), Instant::now());
        loop {
            let now_seen = look(&path);
            if now_seen != seen {
                seen = now_seen;
                self.take_up();
                next_try = Instant::now();
            }
            if Instant::now() >= next_try
                && let Some(pause) = self.renew_if_due().await
            {
                next_try = Instant::now() + pause;
            }
            if Instant::now() >= others {
                self.ask_others().await;
                others = Instant::now() + ASK_OTHERS;
            }
            let hangup = async {
                match &mut asked_to_look {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                // Whoever sends it wants the file read, and need not know that this happens anyway.
                _ = hangup => seen = None,
            }
        }
    }

    /// Serves what lies in the file, if it is fit.
    fn take_up(&self) {
        let read = server_credential::read(&self.data_dir, self.purpose(), clock::now());
        match read {
            Ok(credential) if is_same(&credential, &self.current.load()) => self.outlook.file_is_fit(),
            Ok(credential) => self.serve(credential),
            Err(error) => {
                let error = crate::commands::chain(&error);
                tracing::error!(
                    error = error.as_str(),
                    "the new {} is not served: the former goes on",
                    server_credential::FILE
                );
                self.outlook.turn(Some(Trouble::File(error)));
            }
        }
    }

    fn purpose(&self) -> Purpose<'_> {
        let Self { domain_ca, domain_id, journal_id, advertise, .. } = self;
        Purpose { domain_ca, domain_id, journal_id, advertise }
    }

    fn serve(&self, credential: Credential) {
        let not_after = validity(&credential).map(|validity| validity.not_after);
        self.current.store(credential.into());
        self.outlook.turn(None);
        tracing::info!(
            not_after = not_after.map(tracing::field::display),
            "another server certificate is served"
        );
    }

    /// How long to wait before the next try. None: there is nothing to do.
    async fn renew_if_due(&self) -> Option<Duration> {
        let present = self.outlook.validity().filter(|validity| validity.is_due(clock::now()))?;
        let Err(error) = self.renew().await else { return None };
        let (error, now) = (crate::commands::chain(&error), clock::now());
        self.outlook.turn(Some(Trouble::Renewal(error.clone())));
        let pause = present.pause(now);
        let told = self.outlook.warnings(now).into_iter().next().unwrap_or(error);
        if present.urgency(now) >= Urgency::Alert {
            tracing::error!(again_in_secs = pause.as_secs(), "{told}");
        } else {
            tracing::warn!(again_in_secs = pause.as_secs(), "{told}");
        }
        Some(pause)
    }

    async fn renew(&self) -> Result<(), NotRenewed> {
        let pem = match self.sign_here()? {
            Some(pem) => pem,
            None => self.have_signed().await?,
        };
        let credential = Credential::from_pem(server_credential::FILE, pem.as_bytes())?;
        server_credential::check(&credential, self.purpose(), clock::now())?;
        let end = |credential: &Credential| validity(credential).map(|validity| validity.not_after);
        if end(&credential) <= end(&self.current.load()) {
            return Err(NotRenewed::NoLonger);
        }
        replace(&self.data_dir.join(server_credential::FILE), pem.as_bytes(), 0o600)?;
        self.serve(credential);
        Ok(())
    }

    /// None: the domain CA's key is not here.
    fn sign_here(&self) -> Result<Option<Zeroizing<String>>, NotRenewed> {
        let ca = match DomainCaFiles::of(&self.data_dir).read() {
            Ok(ca) => ca,
            Err(DomainCaError::Absent { .. }) => return Ok(None),
            Err(error @ (DomainCaError::Unreadable(_) | DomainCaError::Damaged(_))) => {
                return Err(NotRenewed::DomainCa(crate::commands::chain(&error)));
            }
        };
        if *ca.certificate() != self.domain_ca {
            return Err(NotRenewed::OtherDomain);
        }
        let announced = self.announced();
        let present = self.current.load();
        let own = present.chain().first().map(|der| names_of(der)).unwrap_or_default();
        let hosts: Vec<String> = self.advertise.iter().cloned().chain(own).chain(announced).collect();
        let made = ca.server_certificate(&self.journal_id, &hosts, clock::now(), random::serial()?)?;
        Ok(Some(Zeroizing::new([made.chain_pem.as_str(), made.key_pem.as_str()].concat())))
    }

    fn announced(&self) -> Vec<String> {
        let views = self.log.views();
        let member = views.members.get(&self.journal_id).and_then(|row| row.state.member());
        member.and_then(|member| member.endpoints.as_ref()).map(hosts_of).unwrap_or_default()
    }

    async fn have_signed(&self) -> Result<Zeroizing<String>, NotRenewed> {
        let request = OwnRequest::generate()?;
        let mut said = String::new();
        for (journal, raft_id) in self.others() {
            match self.dialer.certify(raft_id, request.csr.clone()).await {
                Ok(certificate) => {
                    let chain = certificates_pem([&Der::new(certificate), &self.domain_ca]);
                    tracing::info!(signer = %journal, "the server certificate was signed by another journal");
                    return Ok(Zeroizing::new([chain.as_str(), request.key_pem.as_str()].concat()));
                }
                Err(error) => {
                    tracing::debug!(%journal, error, "the server certificate was not signed");
                    said = format!("{said}; {journal}: {error}");
                }
            }
        }
        Err(NotRenewed::NoKey(said))
    }

    /// The other members, by name, and their numbers in Raft.
    fn others(&self) -> Vec<(JournalId, u64)> {
        let views = self.log.views();
        let others = views.members.members().filter(|(id, _)| **id != self.journal_id);
        others.map(|(id, member)| (id.clone(), member.raft_id)).collect()
    }

    async fn ask_others(&self) {
        let others = self.others();
        let names: Vec<JournalId> = others.iter().map(|(id, _)| id.clone()).collect();
        self.outlook.forget_all_but(&names);
        let ask = |(id, raft_id): (JournalId, u64)| {
            let dialer = self.dialer.clone();
            async move { (id, dialer.ask_certificate(raft_id).await) }
        };
        for (id, answer) in futures_util::future::join_all(others.into_iter().map(ask)).await {
            if let Ok(Some((not_after, in_trouble))) = answer {
                self.outlook.heard(&id, OfAnother { not_after, in_trouble });
            }
        }
    }
}

fn look(path: &Path) -> Seen {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.ino()))
}

fn is_same(one: &Credential, other: &Credential) -> bool {
    one.chain().first() == other.chain().first()
}
