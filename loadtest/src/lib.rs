//! What it bears: `pact-loadtest` boots thousands of made-up machines at once, over real TLS, with the agent's own code.
//!
//! `main` starts and stops; [`storm`], [`renewals`], [`revocations`] and [`chaos`] have the steps. Results go to stdout, progress to stderr. The tests of faults use
//! the same modules: they kill, stop and starve the journal of a storm.
//!
//! | module | does |
//! |---|---|
//! | [`arguments`], [`summary`] | what the user says, and what the user is told |
//! | [`storm`], [`revocations`] | the steps of a storm, and of revocations, in their order |
//! | [`renewals`] | whole lives of agents whose certificates live a minute |
//! | [`chaos`] | breaks a quorum in every way under load, and checks what clients were told |
//! | [`target`], [`own_journals`], [`journal_process`] | the journals that are loaded: a foreign one, or child processes of ours |
//! | [`preparation`] | registers the nodes and sets what they are configured by |
//! | [`fleet`], [`clients`] | the made-up machines, and the threads that they run on |
//! | [`measure`], [`journal_metrics`], [`floor`] | what was used, what the journal counted, what cryptography costs alone |
//! | [`log_check`] | has `pact-replay` check the log |
//! | [`simulation`] | a domain under chance in one thread, without a journal |
//! | [`open_files`], [`progress`], [`siblings`] | limits, progress, the other binaries |
//!
//! Not here, on purpose: a second client. Whatever the agent does wrong under load must show here.
//!
//! **Invariant:** a number that could not be measured is absent, and never guessed.

pub mod arguments;
pub mod chaos;
pub mod clients;
pub mod fleet;
pub mod floor;
pub mod journal_metrics;
pub mod journal_process;
pub mod log_check;
pub mod measure;
pub mod open_files;
pub mod own_journals;
pub mod preparation;
pub mod progress;
pub mod quorum;
pub mod renewals;
pub mod revocations;
pub mod siblings;
pub mod simulation;
pub mod storm;
pub mod summary;
pub mod target;
