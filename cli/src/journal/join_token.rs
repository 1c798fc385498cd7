//! `pact journal join-token …`: lets one journal into the quorum.

use std::time::Duration;

use clap::{Args, Subcommand};
use proto::{
    convert::moment,
    outcome::Failure,
    pb::{CreateJoinTokenRequest, CreateJoinTokenResponse},
};

use super::JoinTokenJson;
use crate::{
    answer::Answer,
    connection::{Journals, members},
    duration,
};

const EXAMPLES: &str = "\
Examples:
  pact journal join-token create
  pact journal join-token create --expires 10m -o json | jq -r .token

Whoever has the token gets into the quorum, once: hand it over by a safe way. It is told here and nowhere else. Its second
half, behind the colon, is the SHA-256 of the domain CA certificate, by which the new journal knows whom to trust.";

/// What to do with join tokens.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Verb {
    /// Make a token by which one journal may join
    Create(Create),
}

/// Makes a token.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Create {
    /// How long it may be used, from 1m to 24h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration::parse)]
    expires: Duration,
}

impl Verb {
    /// Asks a journal for it.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let Self::Create(Create { expires }) = self;
        let request = CreateJoinTokenRequest { expires_secs: Some(expires.as_secs()) };
        let answer = journals.ask(async |channel| members(channel).create_join_token(request).await).await?;
        Ok(Answer::JoinToken(Box::new(readable(answer)?)))
    }
}

fn readable(answer: CreateJoinTokenResponse) -> Result<JoinTokenJson, Failure> {
    let expires_at = answer.expires_at.as_ref().and_then(|at| moment::from_wire(at).ok());
    let expires_at = expires_at
        .ok_or_else(|| Failure::other("the journal's answer about the join token has no expires_at"))?;
    Ok(JoinTokenJson { token: answer.token, token_id: answer.token_id, expires_at })
}
