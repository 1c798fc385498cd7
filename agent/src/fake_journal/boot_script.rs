//! What the fake journal answers to StreamBootConfig, and the chunks of a good answer for all who test with spoiled ones.
//!
//! Not here, on purpose: which overlay is whose. A test says what the fake has.

use std::{collections::VecDeque, pin::Pin};

use events::vocabulary::Digest;
use proto::{
    pb::{ConfigChunk, config_chunk},
    refusal::Refusal,
};
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use crate::boot_config::PART_BYTES;

/// The configuration of the one node that the fake knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configured {
    /// Empty in maintenance mode.
    pub(crate) vcluster: &'static str,
    pub(crate) revision: u64,
    pub(crate) seq: u64,
    pub(crate) overlay: Vec<u8>,
}

impl Configured {
    /// The parts of the overlay, each of so many bytes, and the end.
    pub(crate) fn chunks_of(&self, bytes: usize) -> Vec<ConfigChunk> {
        let mut parts: Vec<&[u8]> = self.overlay.chunks(bytes).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let total = u32::try_from(parts.len()).unwrap();
        let overlay = |(index, data): (usize, &&[u8])| config_chunk::Overlay {
            vcluster_id: self.vcluster.to_owned(),
            revision: self.revision,
            index: u32::try_from(index).unwrap(),
            total,
            data: data.to_vec(),
            sha256: Digest::of(&self.overlay).as_bytes().to_vec(),
        };
        let parts = parts.iter().enumerate().map(overlay).map(config_chunk::Chunk::Overlay);
        let mut chunks: Vec<ConfigChunk> = parts.map(|chunk| ConfigChunk { chunk: Some(chunk) }).collect();
        chunks.push(self.end());
        chunks
    }

    pub(crate) fn end(&self) -> ConfigChunk {
        let Self { vcluster, revision, seq, .. } = self;
        let complete =
            config_chunk::Complete { vcluster_id: (*vcluster).to_owned(), revision: *revision, seq: *seq };
        ConfigChunk { chunk: Some(config_chunk::Chunk::Complete(complete)) }
    }

    fn answer(&self, known_revision: u64) -> Vec<ConfigChunk> {
        if self.revision == 0 || self.revision == known_revision {
            vec![self.end()]
        } else {
            self.chunks_of(PART_BYTES)
        }
    }
}

/// What the fake does with one StreamBootConfig, instead of answering with what it has.
#[derive(Debug)]
pub(crate) enum BootScript {
    /// Sends these and ends the stream.
    Send(Vec<ConfigChunk>),
    /// Sends these and nothing more.
    Stall(Vec<ConfigChunk>),
    /// Sends this without end.
    Repeat(ConfigChunk),
    Refuse(Refusal),
}

/// A stream of chunks.
pub(super) type Chunks = Pin<Box<dyn Stream<Item = Result<ConfigChunk, Status>> + Send>>;

/// All that the fake knows of boot configurations, and what it was asked.
#[derive(Debug, Default)]
pub(super) struct BootDesk {
    pub(super) configured: Configured,
    pub(super) script: VecDeque<BootScript>,
    pub(super) known_revisions: Vec<u64>,
}

impl BootDesk {
    pub(super) fn play(&mut self, known_revision: u64) -> Result<Chunks, Status> {
        self.known_revisions.push(known_revision);
        let all = |chunks: Vec<ConfigChunk>| tokio_stream::iter(chunks.into_iter().map(Ok));
        Ok(match self.script.pop_front() {
            None => Box::pin(all(self.configured.answer(known_revision))),
            Some(BootScript::Send(chunks)) => Box::pin(all(chunks)),
            Some(BootScript::Stall(chunks)) => Box::pin(all(chunks).chain(tokio_stream::pending())),
            Some(BootScript::Repeat(chunk)) => {
                Box::pin(tokio_stream::iter(std::iter::repeat_with(move || Ok(chunk.clone()))))
            }
            Some(BootScript::Refuse(refusal)) => return Err(refusal.into()),
        })
    }
}
