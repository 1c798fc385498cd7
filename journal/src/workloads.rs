//! Workload identities of others, such as SPIRE's X.509-SVIDs (R11): what their certificates prove, by themselves.
//!
//! The agents' listener recognizes them, and so does whoever binds one to a node. They are off unless a trust domain and its
//! bundle are configured; the bundle is read again while the journal runs, for its authority replaces its certificates.
//!
//! Not here: what a recognized identity opens, which is the node's state alone ([`events::views::Views::workload_standing`]).
//!
//! **Invariant:** a workload is recognized only by a chain to a certificate of the bundle that is valid now.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use events::vocabulary::{CertificateHash, SpiffeHash, SpiffeId, Timestamp, TrustDomain};
use proto::reason::Reason;
use proto::refusal::Refusal;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, RootCertStore, SignatureScheme};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::clock;
use crate::config::Config;
use crate::grpc::Connections;

#[cfg(test)]
mod tests;

/// How soon a changed bundle counts.
const EVERY: Duration = Duration::from_secs(2);
/// A bundle has a handful of certificates.
const MOST_ROOTS: usize = 64;
/// And no more bytes.
const LARGEST_BUNDLE: u64 = 1 << 20;
/// An identity's own certificate and a few between it and the bundle.
const LONGEST_CHAIN: usize = 8;

/// See the module.
pub struct Workloads {
    domain: TrustDomain,
    bundle: PathBuf,
    provider: Arc<CryptoProvider>,
    trust: ArcSwap<Trust>,
    edition: AtomicU64,
}

/// The bundle as it counts at the moment.
struct Trust {
    roots: BTreeSet<Vec<u8>>,
    /// None: no certificate of the bundle is valid, and so no identity is.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

/// A workload whose certificate proves its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The name.
    pub spiffe_id: SpiffeId,
    /// The same, as views know it.
    pub id: SpiffeHash,
    /// Until when its certificate proves it.
    pub not_after: Timestamp,
}

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It cannot be read.
    #[error("the bundle of workload identities, {}, cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no bundle.
    #[error("the bundle of workload identities, {}, cannot be used: {reason}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// Two authorities would give the same names.
    #[error(
        "workload_trust_domain is `{domain}`, which is this domain's own name; take workloads of others only"
    )]
    OwnDomain {
        /// The name.
        domain: TrustDomain,
    },
}

impl Workloads {
    /// Reads the bundle of a trust domain. `own` is the name of the journal's own domain.
    pub fn read(domain: TrustDomain, bundle: &Path, own: &str, now: Timestamp) -> Result<Self, BundleError> {
        if domain.as_str() == own {
            return Err(BundleError::OwnDomain { domain });
        }
        let provider = proto::tls::provider();
        let trust = Trust::new(read_bundle(bundle)?, now, &provider);
        Ok(Self {
            domain,
            bundle: bundle.to_owned(),
            provider,
            trust: ArcSwap::from_pointee(trust),
            edition: AtomicU64::new(0),
        })
    }

    /// Whether a certificate says that it is a workload's of the trust domain. Then that is what it must prove, and no
    /// fact of an issuance is looked for: pact issues no such names.
    pub fn named_by(&self, certificate: &CertificateDer<'_>) -> bool {
        let prefix = format!("spiffe://{}/", self.domain);
        X509Certificate::from_der(certificate)
            .is_ok_and(|(_, certificate)| uris(&certificate).iter().any(|uri| uri.starts_with(&prefix)))
    }

    /// Counts the changes of the bundle. Who recognized a workload under another edition than there is once its connection
    /// is registered may have missed that it was to be cut.
    pub fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// What a chain proves: the X.509-SVID's rules for a leaf, and a path to the bundle.
    pub fn recognize(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Workload, CertificateError> {
        let (rest, certificate) =
            X509Certificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding)?;
        let spiffe_id = match uris(&certificate)[..] {
            [uri] if rest.is_empty() => uri.parse::<SpiffeId>().ok(),
            _ => None,
        };
        let own = spiffe_id.filter(|id| id.trust_domain() == self.domain.as_str() && is_leaf(&certificate));
        let spiffe_id = own.ok_or(CertificateError::ApplicationVerificationFailure)?;
        let seconds = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
        let not_after = Timestamp::from_millis(seconds.saturating_mul(1000));
        // A connection ends at that moment: nobody is let in at it.
        if seconds <= now.as_secs() {
            return Err(CertificateError::Expired);
        }
        let trust = self.trust.load();
        let verifier = trust.verifier.as_ref().ok_or(CertificateError::UnknownIssuer)?;
        match verifier.verify_client_cert(leaf, intermediates, now) {
            Ok(_) => Ok(Workload { id: spiffe_id.hash(), spiffe_id, not_after }),
            // An authority of the same name with another key. The alert for that would not speak of the certificate.
            Err(rustls::Error::InvalidCertificate(CertificateError::BadSignature)) => {
                Err(CertificateError::UnknownIssuer)
            }
            Err(rustls::Error::InvalidCertificate(error)) => Err(error),
            Err(_) => Err(CertificateError::ApplicationVerificationFailure),
        }
    }

    /// The workload that a node wants to be known by, whose key it has: it signed for the connection that presents this
    /// certificate.
    ///
    /// # Errors
    /// `WORKLOAD_NOT_TRUSTED`, or `FIELD_INVALID` for a signature that proves nothing.
    pub fn prove(
        &self,
        chain: &[Vec<u8>],
        (proof, scheme): (&[u8], u32),
        over: &CertificateHash,
    ) -> Result<Workload, Refusal> {
        let chain: Vec<CertificateDer<'_>> =
            chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let [leaf, intermediates @ ..] = &chain[..] else {
            return Err(proto::convert::field::invalid("svid_chain", "there is no certificate in it"));
        };
        if chain.len() > LONGEST_CHAIN {
            return Err(proto::convert::field::invalid("svid_chain", "at most 8 certificates"));
        }
        let workload = self.recognize(leaf, intermediates, UnixTime::now()).map_err(|error| {
            let message =
                format!("the identity is no valid one of the trust domain {}: {error}", self.domain);
            Refusal::new(Reason::WorkloadNotTrusted, message)
        })?;
        if self.is_signed(leaf, &proto::binding::signed_bytes(over), proof, scheme) {
            Ok(workload)
        } else {
            Err(proto::convert::field::invalid(
                "proof",
                "it is not signed with the identity's key for this connection",
            ))
        }
    }

    fn is_signed(&self, leaf: &CertificateDer<'_>, bytes: &[u8], proof: &[u8], scheme: u32) -> bool {
        let Ok(leaf) = webpki::EndEntityCert::try_from(leaf) else { return false };
        let scheme = u16::try_from(scheme).map(SignatureScheme::from);
        let known = self.provider.signature_verification_algorithms.mapping.iter();
        let ours = known.filter(|(known, _)| scheme == Ok(*known)).flat_map(|(_, algorithms)| *algorithms);
        ours.into_iter().any(|algorithm| leaf.verify_signature(*algorithm, bytes, proof).is_ok())
    }

    /// Reads the bundle again and again, until the journal stops. Whoever was let in by a certificate that is gone must
    /// prove itself anew.
    pub async fn follow(self: Arc<Self>, connections: Arc<Connections>) {
        let mut told = false;
        loop {
            tokio::time::sleep(EVERY).await;
            let path = self.bundle.clone();
            let read = tokio::task::spawn_blocking(move || read_bundle(&path)).await;
            match read {
                Ok(Ok(roots)) => {
                    told = false;
                    if self.turn(roots, clock::now()) {
                        connections.cut_workloads();
                    }
                }
                Ok(Err(error)) if !told => {
                    told = true;
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "the bundle that was read before still counts");
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    /// Trusts these certificates from here on; answers whether one that was trusted is not any more.
    fn turn(&self, roots: Vec<CertificateDer<'static>>, now: Timestamp) -> bool {
        let next = Trust::new(roots, now, &self.provider);
        let before = self.trust.load_full();
        if next.roots == before.roots {
            return false;
        }
        tracing::info!(certificates = next.roots.len(), "the bundle of workload identities changed");
        let lost = before.roots.iter().any(|root| !next.roots.contains(root));
        self.trust.store(Arc::new(next));
        self.edition.fetch_add(1, Ordering::AcqRel);
        lost
    }
}

impl Trust {
    /// Those of the certificates that are valid now.
    fn new(roots: Vec<CertificateDer<'static>>, now: Timestamp, provider: &Arc<CryptoProvider>) -> Self {
        let (mut store, mut kept) = (RootCertStore::empty(), BTreeSet::new());
        for root in roots {
            if is_valid(&root, now) && store.add(root.clone()).is_ok() {
                kept.insert(root.to_vec());
            }
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
        Self { roots: kept, verifier: builder.build().ok() }
    }
}

/// What is configured. None: nobody's workload identities count.
///
/// # Errors
/// If the bundle cannot be used, or the trust domain is the journal's own.
pub fn configured(config: &Config, own: &str, now: Timestamp) -> Result<Option<Arc<Workloads>>, BundleError> {
    // A configuration that was read holds a trust domain or nothing.
    let Ok(domain) = config.workload_trust_domain.parse::<TrustDomain>() else { return Ok(None) };
    Workloads::read(domain, &config.workload_bundle, own, now).map(|workloads| Some(Arc::new(workloads)))
}

/// Whether the journal may take an identity for a node's at all.
///
/// # Errors
/// `WORKLOAD_NOT_TRUSTED`
pub fn check_trusted(workloads: Option<&Workloads>, id: &SpiffeId) -> Result<(), Refusal> {
    let message = match workloads {
        Some(workloads) if id.trust_domain() == workloads.domain.as_str() => return Ok(()),
        Some(workloads) => format!("this journal takes workload identities of {} only", workloads.domain),
        None => not_configured(),
    };
    Err(Refusal::new(Reason::WorkloadNotTrusted, message))
}

/// What somebody hears who wants to bind an identity where none counts.
pub fn not_configured() -> String {
    "this journal takes no workload identities: workload_trust_domain is not set".to_owned()
}

fn read_bundle(path: &Path) -> Result<Vec<CertificateDer<'static>>, BundleError> {
    let unread = |source| BundleError::Read { path: path.to_owned(), source };
    let unfit = |reason| BundleError::Unfit { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_BUNDLE + 1).read_to_end(&mut bytes))
        .map_err(unread)?;
    if bytes.len() as u64 > LARGEST_BUNDLE {
        return Err(unfit("it has more than 1 MiB"));
    }
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let roots = roots.map_err(|_| unfit("it is damaged"))?;
    if roots.is_empty() || roots.len() > MOST_ROOTS {
        return Err(unfit("it must hold 1 to 64 certificates in PEM"));
    }
    let is_ca = |root: &CertificateDer<'_>| {
        X509Certificate::from_der(root).is_ok_and(|(_, root)| root.tbs_certificate.is_ca())
    };
    if roots.iter().all(is_ca) {
        Ok(roots)
    } else {
        Err(unfit("a certificate in it is none of an authority"))
    }
}

fn is_valid(root: &CertificateDer<'_>, now: Timestamp) -> bool {
    let seconds = i64::try_from(now.as_millis() / 1000).unwrap_or(i64::MAX);
    X509Certificate::from_der(root).is_ok_and(|(_, root)| {
        let validity = root.validity();
        validity.not_before.timestamp() <= seconds && seconds < validity.not_after.timestamp()
    })
}

fn uris<'a>(certificate: &'a X509Certificate<'a>) -> Vec<&'a str> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.into_iter().flat_map(|names| &names.value.general_names);
    names.filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None }).collect()
}

/// What the X509-SVID specification says of a leaf (4.1, 4.3): it signs, and it signs no certificates.
fn is_leaf(certificate: &X509Certificate<'_>) -> bool {
    let usage = certificate.key_usage().ok().flatten().map(|usage| usage.value);
    !certificate.tbs_certificate.is_ca()
        && usage.is_some_and(|usage| usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign())
}
