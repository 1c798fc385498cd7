//! Mistakes that the simulated journals and their log can be made to make, to show that each is found out.
//!
//! Tests plant them. The shipped program can make none: outside of tests [`Mistakes`] holds nothing, and asking it is `false`.

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// The log does not compare the versions that an append expects (R1).
    IgnoresVersions,
    /// A leader answers when it has written an entry, not when a quorum has it (R3).
    AnswersBeforeCommit,
    /// An append that is sent again gets another id (R7).
    ForgetsAppendId,
    /// The log does not recognise an append that it has already (R7).
    ForgetsWhatItRecorded,
    /// A journal signs before the announcement of its authority is committed (R9).
    SignsBeforeAnnouncement,
    /// Open streams live on when their certificate ends (R17).
    LeavesStreamsOpen,
    /// A fold skips a fact now and then: the views of that journal are no fold of the log.
    SkipsAFact,
    /// The asker's own stream is not among those that a decision depends on (R1).
    ForgetsTheAsker,
}

/// Which mistakes are made: in the shipped program none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mistakes {
    #[cfg(test)]
    planted: Option<Mistake>,
}

impl Mistakes {
    /// Makes this one.
    #[cfg(test)]
    pub fn planted(mistake: Mistake) -> Self {
        Self { planted: Some(mistake) }
    }

    /// Whether this one is made.
    #[cfg(test)]
    pub fn has(self, mistake: Mistake) -> bool {
        self.planted == Some(mistake)
    }

    /// Whether this one is made.
    #[cfg(not(test))]
    pub fn has(self, _: Mistake) -> bool {
        false
    }
}
