//! Logs written by the tests themselves, read by the library and by the real binary.
//!
//! Everything here is test code, as `cfg(test)` says to the lints.

#[cfg(test)]
mod against;
#[cfg(test)]
mod binary;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod export;
#[cfg(test)]
mod exported;
#[cfg(test)]
mod history;
mod members;
#[cfg(test)]
mod pipe;
#[cfg(test)]
mod real_journal;
#[cfg(test)]
mod restored;
#[cfg(test)]
mod running;
#[cfg(test)]
mod state;
#[cfg(test)]
mod story;
#[cfg(test)]
mod written_log;
