//! What each step costs: the parts that the benches put together.
//!
//! [`catch_up`] has new journals learn a long log in a storm.
//! [`world`] has one node that may enroll, [`history`] whole domains over days, [`written_log`] the same in a real log on
//! a real disk, [`table`] what it must bear beside what was measured. `benches/` measures, `tests/house.rs` checks the
//! repository itself. This is the one crate that may use `journal`. Not here: a whole storm (`pact-loadtest`).

pub mod catch_up;
pub mod history;
pub mod table;
pub mod world;
pub mod written_log;
