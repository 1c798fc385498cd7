//! Logs written by the tests themselves, read by the library and by the real binary.

mod binary;
mod damage;
mod history;
mod running;
mod story;
mod written_log;
