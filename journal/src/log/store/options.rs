//! How RocksDB is set up: one write-ahead log for all column families, never disabled (R27).
//!
//! Used by the store only. The figures are for a storm of 10,000 enrollments in some seconds (about 30 MB of facts and as
//! much of Raft entries): a buffer is flushed long before three more are full, so that no write waits for it.

use events::codec::keys;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, InfoLogger,
    LogLevel, Options,
};

/// Shared by all column families.
const BLOCK_CACHE_BYTES: usize = 32 << 20;
/// Of each column family but the facts'. What fills it is memory that a storm's subscriptions are charged with (design §10),
/// and three times where three members are on one machine.
const BUFFER_BYTES: usize = 1 << 20;
/// Of the facts: what it is flushed into stays a file of its own, for no later file has keys between its keys, and a log of
/// years must not have thousands.
const BUFFER_BYTES_OF_FACTS: usize = 2 << 20;
/// While a member takes over all that it lacks, of the facts and what follows from them: fewer files, in which more of the
/// heads that are written again and again are written once.
const BUFFER_BYTES_OF_MUCH: usize = 16 << 20;
/// Of the facts: they are read one after another, and what they share is compressed better together.
const BLOCK_BYTES_OF_FACTS: usize = 32 << 10;
/// Three full buffers may wait for their flush before a write is slowed down.
const BUFFERS: i32 = 4;
/// When the oldest part is dropped by flushing what still needs it; bounds the time of a start.
const WAL_BYTES: u64 = 256 << 20;
/// A process has 20,000 here, and connections need them more.
const OPEN_FILES: i32 = 256;

/// The size of a column family's write buffer, while much is written at once or not.
pub(super) fn buffer_bytes(column: &str, much: bool) -> usize {
    match column {
        _ if much => BUFFER_BYTES_OF_MUCH,
        keys::FACTS => BUFFER_BYTES_OF_FACTS,
        _ => BUFFER_BYTES,
    }
}

/// The options of the database.
pub(super) fn database(create: bool) -> Options {
    let mut options = Options::default();
    options.create_if_missing(create);
    options.set_error_if_exists(create);
    options.create_missing_column_families(create);
    options.set_paranoid_checks(true);
    // A torn end is what a power cut leaves, anything else is damage.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_max_total_wal_size(WAL_BYTES);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1 << 20);
    // In place of a file of its own, which RocksDB would begin anew before it knows that the directory is in use.
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, tell));
    options
}

fn tell(level: LogLevel, said: &str) {
    match level {
        LogLevel::Warn | LogLevel::Error | LogLevel::Fatal => tracing::warn!(said, "rocksdb is in trouble"),
        // The list of all options comes as a header at each start, whatever the level.
        LogLevel::Debug | LogLevel::Info | LogLevel::Header => tracing::trace!(said, "rocksdb"),
    }
}

/// The column families, all of them.
pub(super) fn columns() -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
    let column = |name: &str| ColumnFamilyDescriptor::new(name, column(name, &cache));
    keys::ALL.into_iter().map(column).collect()
}

fn column(name: &str, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    if name == keys::FACTS {
        blocks.set_block_size(BLOCK_BYTES_OF_FACTS);
    }
    if name == keys::HEADS {
        // Most look-ups there are for streams that do not exist yet: new keys, new nodes.
        blocks.set_bloom_filter(10.0, false);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(buffer_bytes(name, false));
    options.set_max_write_buffer_number(BUFFERS);
    // Certificates share most of their DER with their neighbours. Raft entries do too, but live for minutes only.
    let compression = if name == keys::FACTS { DBCompressionType::Lz4 } else { DBCompressionType::None };
    options.set_compression_type(compression);
    options
}
