//! `pact events tail`: the log, fact by fact, printed as it comes.

use std::io::{self, BufWriter, ErrorKind, Write};

use clap::{Args, Subcommand};
use proto::{
    outcome::{Exit, Failure},
    pb::{TailEventsRequest, TailEventsResponse},
};
use serde_json::Value;

use crate::{
    answer::{Answer, Output},
    connection::{Journals, events},
    table,
};

const EXAMPLES: &str = "\
Examples:
  pact events tail
  pact events tail --node compute-042
  pact events tail --from 1 -o json | jq -r 'select(.type == \"NodeRevoked\") | .node_id'
  pact events tail --follow

With -o json one fact a line, as pact-replay writes them. --follow goes on until it is interrupted.";

/// What to do with what happened.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Verb {
    /// Show the last facts, or those of a node
    Tail(Tail),
}

/// Shows facts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Tail {
    /// Only facts about this node, all of them
    #[arg(long, value_name = "NODE_ID")]
    node: Option<String>,

    /// The first fact; without it the last 20, or with --node all
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,

    /// Go on with what happens from now on
    #[arg(long)]
    follow: bool,
}

impl Verb {
    /// Prints the facts as they come.
    ///
    /// # Errors
    /// If the journal refuses, cannot be reached, or is lost on the way; or stdout cannot be written.
    pub async fn run(self, journals: &Journals, output: Output) -> Result<Answer, Failure> {
        let Self::Tail(tail) = self;
        let request = TailEventsRequest {
            node_id: tail.node.unwrap_or_default(),
            from_seq: tail.from,
            follow: tail.follow,
        };
        let session = journals.session().await?;
        let asked = request.clone();
        let mut facts = session.ask(async |channel| events(channel).tail_events(asked).await).await?;
        let mut to = BufWriter::new(io::stdout().lock());
        loop {
            // Without --follow the journal has all of them: it must not be silent for longer than any answer may take.
            let next = if tail.follow {
                facts.message().await.map_err(|status| session.failure(&status))
            } else {
                session.next(&mut facts).await
            };
            let next = match next {
                Ok(next) => next,
                Err(cut) => return Err(why(journals, cut, request).await),
            };
            let Some(fact) = next else { break };
            match print(&fact, output, &mut to) {
                Ok(()) => {}
                // A reader that has seen enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
                Err(error) => return Err(Failure::other(format!("the facts could not be printed: {error}"))),
            }
        }
        Ok(Answer::Printed)
    }
}

/// Why a stream was cut. A journal that revokes a caller cuts the connection and says nothing more on it (R17): the next
/// handshake tells. Whatever else may be wrong with that, the cut is the failure.
async fn why(journals: &Journals, cut: Failure, request: TailEventsRequest) -> Failure {
    let request = TailEventsRequest { follow: false, ..request };
    let again = async {
        let session = journals.session().await?;
        session.ask(async |channel| events(channel).tail_events(request).await).await
    };
    match again.await {
        Err(refused) if refused.exit() == Exit::NotAuthorized => refused,
        Ok(_) | Err(_) => cut,
    }
}

/// Each fact at once: somebody may be watching.
fn print(fact: &TailEventsResponse, output: Output, to: &mut impl Write) -> io::Result<()> {
    match output {
        Output::Json => writeln!(to, "{}", fact.json)?,
        Output::Table => writeln!(to, "{}", line(fact))?,
    }
    to.flush()
}

/// `SEQ  TIME  TYPE  SUBJECT  by PRINCIPAL`
fn line(fact: &TailEventsResponse) -> String {
    let json: Value = serde_json::from_str(&fact.json).unwrap_or_default();
    let text = |field: &str| json[field].as_str().unwrap_or("-").to_owned();
    let subject = ["node_id", "operator_id", "authority_id", "vcluster", "journal_id"];
    let subject = subject.iter().find_map(|field| json[*field].as_str()).unwrap_or("-");
    table::printable(&format!(
        "{:>8}  {}  {:<20} {}  by {}",
        fact.seq,
        text("recorded_at"),
        text("type"),
        subject,
        text("principal")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_one_line_for_people_and_for_scripts() {
        let json = r#"{"type":"NodeRevoked","node_id":"n1","recorded_at":"2026-01-31T12:00:00.000Z","principal":"operator:a"}"#;
        let fact = TailEventsResponse { seq: 7, json: json.to_owned() };
        let (mut table, mut script) = (Vec::new(), Vec::new());
        print(&fact, Output::Table, &mut table).unwrap();
        print(&fact, Output::Json, &mut script).unwrap();
        let table = String::from_utf8(table).unwrap();
        assert_eq!(table, "       7  2026-01-31T12:00:00.000Z  NodeRevoked          n1  by operator:a\n");
        assert_eq!(String::from_utf8(script).unwrap(), format!("{json}\n"));
    }

    #[test]
    fn what_is_no_json_ends_nothing() {
        let fact = TailEventsResponse { seq: 7, json: "\u{1b}[31m".to_owned() };
        assert!(line(&fact).starts_with("       7  -  -"), "{}", line(&fact));
    }
}
