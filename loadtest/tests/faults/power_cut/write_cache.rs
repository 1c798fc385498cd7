//! A disk with a volatile write cache, which QEMU uses over the protocol of network block devices (NBD).
//!
//! What is written lies in the cache until a flush, or for as long as the machine has power. When that goes, of each block
//! in the cache either nothing is left, or all, or its first sectors, in no order. QEMU on a file would keep everything: the
//! host's page cache outlives it.
//!
//! **Invariant:** what was flushed, or was written with FUA, is in the file before it is acknowledged.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::{
        fs::FileExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// What is kept or lost as one.
const BLOCK: u64 = 4096;
/// What no power cut tears.
const SECTOR: usize = 512;

const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const ANSWER_MAGIC: u32 = 0x6744_6698;
/// Fixed newstyle, no zeroes.
const HANDSHAKE: u16 = 0b11;
const GO: [u32; 2] = [6, 7];
const UNSUPPORTED: u32 = (1 << 31) | 1;
/// There are flags; it flushes; it knows FUA.
const EXPORT: u16 = 0b1101;
const FUA: u16 = 1;
const MAX_REQUEST: u32 = 64 << 20;

/// See the module. Clones are the same disk.
#[derive(Clone)]
pub struct WriteCache(Arc<Mutex<State>>);

struct State {
    file: File,
    bytes: u64,
    /// The newest content of blocks that are not flushed.
    cached: BTreeMap<u64, Vec<u8>>,
    /// Counts power cuts: whoever was connected before writes nothing any more.
    power: u64,
    flushes: u64,
}

impl WriteCache {
    /// The disk whose content is this file's, at a socket.
    pub fn serve(file: &Path, socket: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(file).expect("the disk is there");
        let bytes = file.metadata().expect("it is open").len();
        let state = State { file, bytes, cached: BTreeMap::new(), power: 0, flushes: 0 };
        let disk = Self(Arc::new(Mutex::new(state)));
        let (listener, served) = (UnixListener::bind(socket).expect("the folder is ours"), disk.clone());
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let disk = served.clone();
                // A connection that breaks is a machine that was switched off.
                thread::spawn(move || disk.answer(connection).ok());
            }
        });
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power goes: `chance` decides what is left of the cache. Answers how many blocks were in it, and how many of those
    /// are lost or torn.
    pub fn cut(&self, chance: &mut fastrand::Rng) -> (usize, usize) {
        let mut state = self.state();
        state.power += 1;
        let cached = std::mem::take(&mut state.cached);
        let (all, mut lost) = (cached.len(), 0);
        for (block, content) in cached {
            let kept = match chance.u8(0..8) {
                0..4 => 0,
                4 => chance.usize(1..content.len() / SECTOR) * SECTOR,
                _ => content.len(),
            };
            lost += usize::from(kept < content.len());
            state.file.write_all_at(&content[..kept], block * BLOCK).expect("the host has room");
        }
        (all, lost)
    }

    /// Whether something was written that is not on the disk yet.
    pub fn holds_back(&self) -> bool {
        !self.state().cached.is_empty()
    }

    /// How often it was flushed.
    pub fn flushes(&self) -> u64 {
        self.state().flushes
    }

    fn answer(&self, mut stream: UnixStream) -> io::Result<()> {
        let power = self.state().power;
        self.greet(&mut stream)?;
        loop {
            let (magic, flags, kind) = (u32(&mut stream)?, u16(&mut stream)?, u16(&mut stream)?);
            let (handle, at, length) = (u64(&mut stream)?, u64(&mut stream)?, u32(&mut stream)?);
            if magic != REQUEST_MAGIC || length > MAX_REQUEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut content = vec![0; if kind < 2 { length as usize } else { 0 }];
            if kind == 1 {
                stream.read_exact(&mut content)?;
            }
            let mut state = self.state();
            if state.power != power {
                return Ok(());
            }
            match kind {
                0 => state.read(at, &mut content)?,
                1 => state.write(at, &content)?,
                2 => return Ok(()),
                3 => state.flush()?,
                _ => return Err(io::ErrorKind::Unsupported.into()),
            }
            if kind == 1 && flags & FUA != 0 {
                state.flush()?;
            }
            drop(state);
            let mut answer = [ANSWER_MAGIC.to_be_bytes(), [0; 4]].concat();
            answer.extend(handle.to_be_bytes());
            answer.extend(if kind == 0 { content } else { vec![] });
            stream.write_all(&answer)?;
        }
    }

    fn greet(&self, stream: &mut UnixStream) -> io::Result<()> {
        stream.write_all(b"NBDMAGICIHAVEOPT")?;
        stream.write_all(&HANDSHAKE.to_be_bytes())?;
        u32(stream)?;
        loop {
            let (magic, option, length) = (u64(stream)?, u32(stream)?, u32(stream)?);
            if magic != OPTION_MAGIC || length > 4096 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            stream.read_exact(&mut vec![0; length as usize])?;
            let mut reply = |kind: u32, said: &[u8]| {
                let head = [option.to_be_bytes(), kind.to_be_bytes(), (said.len() as u32).to_be_bytes()];
                stream.write_all(&[&REPLY_MAGIC.to_be_bytes(), &*head.concat(), said].concat())
            };
            if !GO.contains(&option) {
                reply(UNSUPPORTED, &[])?;
                continue;
            }
            let mut export = vec![0, 0];
            export.extend(self.state().bytes.to_be_bytes());
            export.extend(EXPORT.to_be_bytes());
            reply(3, &export)?;
            reply(1, &[])?;
            if option == GO[1] {
                return Ok(());
            }
        }
    }
}

impl State {
    fn block(&self, block: u64) -> io::Result<Vec<u8>> {
        if let Some(content) = self.cached.get(&block) {
            return Ok(content.clone());
        }
        let mut content = vec![0; BLOCK as usize];
        self.file.read_exact_at(&mut content, block * BLOCK)?;
        Ok(content)
    }

    fn read(&self, at: u64, content: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(content, at)?;
        each_block(at, content.len(), |block, within, of| {
            if let Some(cached) = self.cached.get(&block) {
                content[of.clone()].copy_from_slice(&cached[within..within + of.len()]);
            }
            Ok(())
        })
    }

    fn write(&mut self, at: u64, content: &[u8]) -> io::Result<()> {
        each_block(at, content.len(), |block, within, of| {
            let mut whole = self.block(block)?;
            whole[within..within + of.len()].copy_from_slice(&content[of]);
            self.cached.insert(block, whole);
            Ok(())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes += 1;
        for (block, content) in std::mem::take(&mut self.cached) {
            self.file.write_all_at(&content, block * BLOCK)?;
        }
        Ok(())
    }
}

/// Block by block: its number, where in it, and which part of the content.
fn each_block(
    at: u64,
    length: usize,
    mut each: impl FnMut(u64, usize, std::ops::Range<usize>) -> io::Result<()>,
) -> io::Result<()> {
    let mut done = 0;
    while done < length {
        let now = at + done as u64;
        let within = (now % BLOCK) as usize;
        let part = (BLOCK as usize - within).min(length - done);
        each(now / BLOCK, within, done..done + part)?;
        done += part;
    }
    Ok(())
}

fn u16(stream: &mut UnixStream) -> io::Result<u16> {
    let mut bytes = [0; 2];
    stream.read_exact(&mut bytes)?;
    Ok(u16::from_be_bytes(bytes))
}

fn u32(stream: &mut UnixStream) -> io::Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn u64(stream: &mut UnixStream) -> io::Result<u64> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

#[test]
fn what_was_flushed_survives_a_power_cut_and_the_rest_does_so_by_chance() {
    let place = tempfile::tempdir().unwrap();
    let (file, socket) = (place.path().join("disk"), place.path().join("socket"));
    std::fs::write(&file, vec![0; 1 << 20]).unwrap();
    let disk = WriteCache::serve(&file, &socket);
    {
        let mut state = disk.state();
        state.write(1000, &[1; 5000]).unwrap();
        state.flush().unwrap();
        (0..64).for_each(|block| state.write(BLOCK * (block + 10), &[2; BLOCK as usize]).unwrap());
        let mut read = vec![0; 6000];
        state.read(500, &mut read).unwrap();
        assert_eq!((&read[..500], &read[500..5500]), (&[0; 500][..], &[1; 5000][..]));
    }

    let (all, lost) = disk.cut(&mut fastrand::Rng::with_seed(1));

    assert!(all == 64 && (16..48).contains(&lost), "{lost} of {all}");
    let left = std::fs::read(&file).unwrap();
    assert!(left[1000..6000].iter().all(|byte| *byte == 1));
    assert!(left[BLOCK as usize * 10..].contains(&2) && left[BLOCK as usize * 10..].contains(&0));
}
