//! What an assembly takes and what it refuses, and that no sequence of chunks breaks it.

use proptest::prelude::*;

use super::*;
use crate::fake_journal::Configured;

/// Small parts: an overlay of three of them.
const SMALL: usize = 4;

fn configured(overlay: &[u8]) -> Configured {
    Configured { vcluster: "ml", revision: 7, seq: 9, overlay: overlay.to_vec() }
}

fn of_three() -> Vec<ConfigChunk> {
    configured(b"twelve bytes").chunks_of(SMALL)
}

fn assemble(held: Option<&BootConfig>, chunks: Vec<ConfigChunk>) -> Result<BootConfig, Error> {
    let mut assembly = Assembly::new(held);
    for chunk in chunks {
        assembly.take(chunk)?;
    }
    assembly.finish()
}

fn part(chunk: &mut ConfigChunk) -> &mut Part {
    match &mut chunk.chunk {
        Some(Chunk::Overlay(part)) => part,
        Some(Chunk::Complete(_)) | None => panic!("it is a part"),
    }
}

fn complete(chunk: &mut ConfigChunk) -> &mut Complete {
    match &mut chunk.chunk {
        Some(Chunk::Complete(complete)) => complete,
        Some(Chunk::Overlay(_)) | None => panic!("it is the end"),
    }
}

/// Spoils a good answer of three parts and expects to be told so.
fn refused(spoil: impl FnOnce(&mut Vec<ConfigChunk>), told: &Error) {
    let mut chunks = of_three();
    spoil(&mut chunks);
    assert_eq!(assemble(None, chunks).as_ref(), Err(told));
}

#[test]
fn parts_in_order_give_the_overlay() {
    let config = assemble(None, of_three()).unwrap();
    assert_eq!((config.revision, config.seq), (7, 9));
    assert_eq!(config.vcluster.unwrap().as_str(), "ml");
    assert_eq!(config.overlay.unwrap().bytes, b"twelve bytes");
}

#[test]
fn overlays_of_every_size_up_to_the_limit_are_taken() {
    for bytes in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 5, OVERLAY_BYTES] {
        let overlay: Vec<u8> = (0..bytes).map(|at| at.to_le_bytes()[0]).collect();
        let config = assemble(None, configured(&overlay).chunks_of(PART_BYTES)).unwrap();
        assert!(config.overlay.unwrap().bytes == overlay, "{bytes}");
    }
}

#[test]
fn one_byte_more_than_the_limit_is_refused() {
    let overlay = vec![0; OVERLAY_BYTES + 1];
    let told = assemble(None, configured(&overlay).chunks_of(PART_BYTES));
    assert_eq!(told, Err(Error::TooLarge));
}

#[test]
fn a_part_over_the_limit_is_refused() {
    let bytes = PART_BYTES + 1;
    let told = assemble(None, configured(&vec![0; bytes]).chunks_of(bytes));
    assert_eq!(told, Err(Error::PartSize { index: 0, bytes }));
}

#[test]
fn a_part_that_is_missing_doubled_swapped_or_one_too_many_is_refused() {
    let out_of_order = |found, expected| Error::OutOfOrder { found, expected, total: 3 };
    refused(|chunks| drop(chunks.remove(0)), &out_of_order(1, 0));
    refused(|chunks| drop(chunks.remove(1)), &out_of_order(2, 1));
    refused(|chunks| drop(chunks.remove(2)), &Error::Truncated { received: 2, total: 3 });
    refused(|chunks| chunks.insert(1, chunks[0].clone()), &out_of_order(0, 1));
    refused(|chunks| chunks.swap(1, 2), &out_of_order(2, 1));
    let one_more = |chunks: &mut Vec<ConfigChunk>| {
        let mut more = chunks[2].clone();
        part(&mut more).index = 3;
        chunks.insert(3, more);
    };
    refused(one_more, &out_of_order(3, 3));
}

#[test]
fn content_that_was_altered_is_refused() {
    let overlay = b"twelve bytes";
    for at in 0..overlay.len() {
        let mut altered = *overlay;
        altered[at] ^= 1;
        let told = Error::Altered { found: Digest::of(&altered), announced: Digest::of(overlay) };
        refused(|chunks| part(&mut chunks[at / SMALL]).data[at % SMALL] ^= 1, &told);
    }
    let short = |chunks: &mut Vec<ConfigChunk>| part(&mut chunks[2]).data.truncate(3);
    refused(short, &Error::Altered { found: Digest::of(b"twelve byte"), announced: Digest::of(overlay) });
}

#[test]
fn a_part_without_content_is_refused_unless_it_is_the_only_one() {
    refused(|chunks| part(&mut chunks[1]).data.clear(), &Error::PartSize { index: 1, bytes: 0 });
    assert_eq!(assemble(None, configured(b"").chunks_of(SMALL)).unwrap().overlay.unwrap().bytes, b"");
}

#[test]
fn parts_that_contradict_each_other_are_refused() {
    let differs = |field| Error::Differs { field };
    refused(|chunks| part(&mut chunks[1]).revision = 8, &differs("revision"));
    refused(|chunks| part(&mut chunks[1]).vcluster_id.push('x'), &differs("vCluster"));
    refused(|chunks| part(&mut chunks[2]).total = 4, &differs("number of parts"));
    refused(|chunks| part(&mut chunks[2]).sha256[0] ^= 1, &differs("SHA-256"));
    refused(|chunks| complete(&mut chunks[3]).revision = 8, &differs("revision"));
    refused(|chunks| complete(&mut chunks[3]).vcluster_id.clear(), &differs("vCluster"));
}

#[test]
fn announcements_that_cannot_be_are_refused() {
    for total in [0, PARTS + 1, u32::MAX] {
        refused(|chunks| part(&mut chunks[0]).total = total, &Error::Total { total });
    }
    refused(|chunks| part(&mut chunks[0]).sha256.truncate(31), &Error::HashLength { bytes: 31 });
    refused(|chunks| part(&mut chunks[0]).revision = 0, &Error::NoRevision);
    let unnamed = |chunks: &mut Vec<ConfigChunk>| {
        chunks[..3].iter_mut().for_each(|chunk| part(chunk).vcluster_id = "No Name".to_owned());
        complete(&mut chunks[3]).vcluster_id = "No Name".to_owned();
    };
    refused(unnamed, &Error::VCluster);
}

#[test]
fn it_ends_with_exactly_one_complete() {
    refused(|chunks| drop(chunks.pop()), &Error::NotComplete);
    refused(Vec::clear, &Error::NotComplete);
    refused(|chunks| chunks.push(chunks[3].clone()), &Error::AfterTheEnd);
    refused(|chunks| chunks.push(chunks[0].clone()), &Error::AfterTheEnd);
    refused(|chunks| chunks.insert(0, chunks[3].clone()), &Error::NotSent { revision: 7 });
    refused(|chunks| chunks.insert(1, ConfigChunk { chunk: None }), &Error::UnknownChunk);
}

#[test]
fn a_vcluster_may_have_the_default_of_the_domain() {
    let mut chunks = Configured { vcluster: "", ..configured(b"default") }.chunks_of(SMALL);
    complete(&mut chunks[2]).vcluster_id = "ml".to_owned();
    assert_eq!(assemble(None, chunks).unwrap().vcluster.unwrap().as_str(), "ml");
}

#[test]
fn without_any_overlay_only_the_end_comes() {
    let none = Configured { seq: 5, ..Configured::default() };
    let config = assemble(None, vec![none.end()]).unwrap();
    assert_eq!(config, BootConfig { vcluster: None, revision: 0, seq: 5, overlay: None });
    // Also where there was one before.
    let held = assemble(None, configured(b"former").chunks_of(SMALL)).unwrap();
    let none = Configured { seq: 10, ..Configured::default() };
    assert_eq!(assemble(Some(&held), vec![none.end()]).unwrap().overlay, None);
}

#[test]
fn the_known_revision_is_unchanged_and_keeps_its_overlay() {
    let held = assemble(None, of_three()).unwrap();
    let later = Configured { seq: 12, ..configured(b"") };
    let config = assemble(Some(&held), vec![later.end()]).unwrap();
    assert_eq!(config, BootConfig { seq: 12, ..held.clone() });
    let other = Configured { revision: 11, ..later };
    assert_eq!(assemble(Some(&held), vec![other.end()]), Err(Error::NotSent { revision: 11 }));
}

#[test]
fn an_answer_that_shows_less_than_was_seen_is_refused() {
    let held = assemble(None, of_three()).unwrap();
    let earlier = Configured { seq: 8, ..configured(b"") };
    assert_eq!(assemble(Some(&held), vec![earlier.end()]), Err(Error::Behind { shown: 8, least: 9 }));
    refused(|chunks| complete(&mut chunks[3]).seq = 6, &Error::Behind { shown: 6, least: 7 });
}

fn any_part() -> impl Strategy<Value = Part> {
    let size = prop_oneof![0usize..6, Just(PART_BYTES - 1), Just(PART_BYTES), Just(PART_BYTES + 1)];
    let index = prop_oneof![0u32..4, any::<u32>()];
    let total = prop_oneof![0u32..5, Just(PARTS), any::<u32>()];
    let names = (prop_oneof![Just(""), Just("ml")], prop_oneof![Just(7u64), any::<u64>()]);
    (names, index, total, size, prop_oneof![Just(32usize), 0usize..40]).prop_map(
        |((vcluster, revision), index, total, size, hash)| Part {
            vcluster_id: vcluster.to_owned(),
            revision,
            index,
            total,
            data: vec![0; size],
            sha256: vec![0; hash],
        },
    )
}

fn any_chunk() -> impl Strategy<Value = ConfigChunk> {
    let complete = (any::<u64>(), any::<u64>())
        .prop_map(|(revision, seq)| Chunk::Complete(Complete { vcluster_id: String::new(), revision, seq }));
    prop_oneof![
        1 => Just(None),
        8 => any_part().prop_map(|part| Some(Chunk::Overlay(part))),
        1 => complete.prop_map(Some),
    ]
    .prop_map(|chunk| ConfigChunk { chunk })
}

/// Feeds an assembly that has no reason to stop at an error, and checks its room after every chunk.
fn check_room(chunks: Vec<ConfigChunk>) -> Result<(), TestCaseError> {
    let mut assembly = Assembly::new(None);
    let mut received = 0;
    for chunk in chunks {
        if let Some(Chunk::Overlay(part)) = &chunk.chunk {
            received += part.data.capacity();
        }
        assembly.take(chunk).ok();
        if let Some(parts) = &assembly.parts {
            let room = parts.bytes.capacity();
            prop_assert!(room <= 2 * received, "{room} for {received}");
            prop_assert!(room <= OVERLAY_BYTES && room <= parts.total as usize * PART_BYTES);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_sequence_of_chunks_makes_it_panic_or_exceed_its_room(
        chunks in prop::collection::vec(any_chunk(), 0..40),
    ) {
        check_room(chunks)?;
    }

    #[test]
    fn a_good_sequence_never_exceeds_its_room(bytes in 1usize..700_000, part in 10_000usize..=PART_BYTES) {
        check_room(configured(&vec![0; bytes]).chunks_of(part))?;
    }

    #[test]
    fn no_other_sequence_of_the_same_chunks_is_taken(order in prop::collection::vec(0usize..4, 0..6)) {
        let good = of_three();
        let chunks = order.iter().map(|index| good[*index].clone()).collect();
        prop_assert_eq!(assemble(None, chunks).is_ok(), order == [0, 1, 2, 3]);
    }

    #[test]
    fn what_is_split_anyhow_comes_together_again(
        overlay in prop::collection::vec(any::<u8>(), 0..3000),
        part in 1usize..500,
    ) {
        let config = assemble(None, configured(&overlay).chunks_of(part)).unwrap();
        prop_assert_eq!(&config.overlay.unwrap().bytes, &overlay);
    }
}
