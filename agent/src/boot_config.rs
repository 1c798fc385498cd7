//! The boot configuration of this node: the overlay of its vCluster, or the domain's default (design §3, step 9).
//!
//! [`crate::subscription`] fetches the first over the connection that it subscribes on, [`crate::run`] the next when a
//! journal says that there is one. `assembly` puts the chunks together, `refresh` decides when to ask again.
//!
//! Not here, on purpose: what an overlay means ([`crate::services`]), and what outlives the process ([`crate::cache`]).
//!
//! **Invariant:** an overlay that was fetched has the SHA-256 that the journal announced, and at most
//! [`OVERLAY_BYTES`].

mod assembly;
mod refresh;

use std::{fmt, sync::Arc, time::Duration};

use events::vocabulary::{Digest, VClusterId};
use proto::{
    channel::Connection,
    outcome::Failure,
    pb::{BootConfigRequest, boot_config_service_client::BootConfigServiceClient},
};
use tokio::time::{self, Instant};
use tonic::{Code, Status};

use self::assembly::Assembly;
pub use self::assembly::BootConfigError;
pub(crate) use self::refresh::{Refresh, Taken};
use crate::{enroll::ANSWER_WITHIN, journals, retry::Patience};

/// A part of an overlay has at most this many bytes (contract of the wire).
pub const PART_BYTES: usize = 64 * 1024;
/// An overlay has at most this many bytes (design §8).
pub const OVERLAY_BYTES: usize = 10 * 1024 * 1024;
/// A message with the largest part, its names and its hash. What is larger is not even received.
const MESSAGE_BYTES: usize = PART_BYTES + 1024;
/// How long the whole may take. The largest overlay comes in time at 280 kbit/s, and nothing goes on for ever.
const ALL_WITHIN: Duration = Duration::from_secs(300);

/// What a node is configured by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootConfig {
    /// `None` in maintenance mode.
    pub vcluster: Option<VClusterId>,
    /// The seq of the fact that set the overlay; 0 without one.
    pub revision: u64,
    /// All facts up to this one were looked at.
    pub seq: u64,
    /// `None` if neither the vCluster nor the domain has one.
    pub overlay: Option<Arc<Overlay>>,
}

impl BootConfig {
    /// The hash of the overlay, if there is one.
    pub fn overlay_sha256(&self) -> Option<Digest> {
        self.overlay.as_ref().map(|overlay| overlay.sha256)
    }
}

/// The bytes that a node is configured by.
#[derive(PartialEq, Eq)]
pub struct Overlay {
    /// As the operator gave them.
    pub bytes: Vec<u8>,
    /// Of the bytes.
    pub sha256: Digest,
}

impl fmt::Debug for Overlay {
    /// Without the bytes: operators put what they want into an overlay (R23).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").field("bytes", &self.bytes.len()).field("sha256", &self.sha256).finish()
    }
}

/// The stable name of a [`BootConfigError`].
pub(crate) const REASON: &str = "BOOT_CONFIG_INVALID";

impl From<BootConfigError> for Failure {
    fn from(error: BootConfigError) -> Self {
        Self::named(REASON, error.to_string())
    }
}

/// Fetches the boot configuration. The overlay that the node holds is not sent again.
///
/// # Errors
/// With the journal's refusal, what happened to the connection, or what is wrong with the answer.
pub async fn fetch(
    connection: &Connection,
    held: Option<&BootConfig>,
    patience: Patience,
) -> Result<BootConfig, Failure> {
    let deadline = Instant::now() + patience.within(ALL_WITHIN);
    let mut assembly = Assembly::new(held);
    let request = BootConfigRequest { known_revision: held.map_or(0, |config| config.revision) };
    let mut client =
        BootConfigServiceClient::new(connection.channel()).max_decoding_message_size(MESSAGE_BYTES);
    let answer = in_time(connection, deadline, client.stream_boot_config(request)).await?;
    let mut chunks = answer.into_inner();
    while let Some(chunk) = in_time(connection, deadline, chunks.message()).await? {
        assembly.take(chunk)?;
    }
    Ok(assembly.finish()?)
}

/// Waits for the next part of an answer, no longer than for a whole answer elsewhere.
async fn in_time<T>(
    connection: &Connection,
    deadline: Instant,
    next: impl Future<Output = Result<T, Status>>,
) -> Result<T, Failure> {
    match time::timeout_at(deadline.min(Instant::now() + ANSWER_WITHIN), next).await {
        Ok(Ok(next)) => Ok(next),
        // So says the decoder of a message that is larger than it may be; journals use no such code.
        Ok(Err(status)) if status.code() == Code::OutOfRange => Err(BootConfigError::MessageTooLarge.into()),
        Ok(Err(status)) => Err(journals::failure(connection, &status)),
        Err(_) => {
            let journal = connection.address();
            Err(Failure::Deadline(format!("{journal} did not send the boot configuration in time")))
        }
    }
}
