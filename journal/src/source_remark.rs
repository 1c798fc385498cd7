//! From where somebody asked, as an erasable remark beside a fact (R4).
//!
//! Without random numbers there is none: an unsalted one could be guessed from its hash.

use std::net::IpAddr;

use events::vocabulary::Remark;

use crate::random;

/// The address, salted.
pub fn of(from: IpAddr) -> Option<Remark> {
    Remark::new(random::bytes().ok()?, &from.to_string()).ok()
}
