//! Bad input to a running journal: each is refused with its reason and code, and changes nothing.

mod certificate_requests;
mod hardware;
mod names;
mod renewal;
mod repetition;
