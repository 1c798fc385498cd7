//! Chance, drawn from the operating system through ring: serial numbers, append ids, the random part of ULIDs.
//!
//! `events` knows no chance: whoever decides draws here and hands the result over as data.
//!
//! Not here, on purpose: keys. They are drawn where they live ([`crate::authority`], [`crate::domain_ca`]).

use std::cell::RefCell;

use events::vocabulary::{AppendId, JoinTokenId, Serial, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::{Zeroize, Zeroizing};

/// The operating system gave no random bytes. Nothing can be issued without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomError;

/// Bytes that a thread draws at once: an order needs some 50, and each draw is a system call.
const DRAWN: usize = 1024;

/// What a thread has drawn and not given out yet.
struct Pool {
    bytes: Zeroizing<[u8; DRAWN]>,
    /// From here on they are fresh.
    next: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::new(Pool { bytes: Zeroizing::new([0; DRAWN]), next: DRAWN });
}

/// Random bytes, good enough for secrets; at most [`DRAWN`] at once. No byte is given out twice.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    POOL.with_borrow_mut(|pool| {
        if pool.next + N > DRAWN {
            SystemRandom::new().fill(&mut *pool.bytes).map_err(|_| RandomError)?;
            pool.next = 0;
        }
        let mut bytes = [0; N];
        let given = pool.bytes.get_mut(pool.next..pool.next + N).ok_or(RandomError)?;
        bytes.copy_from_slice(given);
        given.zeroize();
        pool.next += N;
        Ok(bytes)
    })
}

/// A serial number for a new certificate (R8).
pub fn serial() -> Result<Serial, RandomError> {
    Ok(Serial::from_random(bytes()?))
}

/// An identity for a new append (R7).
pub fn append_id() -> Result<AppendId, RandomError> {
    Ok(AppendId::new(bytes()?))
}

/// An id for a new join token.
pub fn join_token_id(now: Timestamp) -> Result<JoinTokenId, RandomError> {
    Ok(JoinTokenId::new(now, u128::from_be_bytes(bytes()?)))
}

/// A number that spreads renewals (R20).
pub fn jitter() -> Result<u16, RandomError> {
    Ok(u16::from_be_bytes(bytes()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_are_given_out_twice_however_many_are_drawn() {
        let drawn: std::collections::BTreeSet<[u8; 16]> = (0..5000).map(|_| bytes().unwrap()).collect();
        assert_eq!(drawn.len(), 5000);
        assert!(!drawn.contains(&[0; 16]));
    }

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<32>(), bytes::<32>());
        assert_ne!(serial(), serial());
        assert_ne!(append_id(), append_id());
        assert_ne!(join_token_id(Timestamp::default()), join_token_id(Timestamp::default()));
    }
}
