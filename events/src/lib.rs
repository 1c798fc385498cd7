//! What can happen in pact: the pure heart.
//!
//! A subject ([`domain`], [`authority`], [`operator`], [`node`], [`member`]) has a State, Commands, `decide`, `evolve` and a
//! Rejection. What is decided becomes an [`append`](append::Append) of [facts](fact::Fact) to
//! [streams](stream::StreamName); [`views`] are folds of the recorded facts, [`invariants`] say what no history may
//! show, and [`codec`] fixes the stored bytes.
//!
//! Not here, on purpose: input and output, clocks, randomness, threads. All of them come in as data.

pub mod append;
pub mod authority;
pub mod certificate;
pub mod codec;
pub mod domain;
pub mod fact;
pub mod fact_json;
pub mod invariants;
pub mod level;
pub mod member;
pub mod node;
pub mod operator;
#[cfg(test)]
mod samples;
pub mod stream;
mod table;
pub mod vcluster;
pub mod views;
pub mod vocabulary;
