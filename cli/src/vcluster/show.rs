//! `pact vcluster show`: one vCluster, or the domain's default; with `--out`, its overlay too.

use std::path::{Path, PathBuf};

use clap::Args;
use proto::{
    outcome::Failure,
    pb::{GetVClusterRequest, GetVClusterResponse},
};

use super::{name, overlay};
use crate::{
    answer::{self, Answer, Output},
    connection::{Journals, vclusters},
};

const EXAMPLES: &str = "\
Examples:
  pact vcluster show prod
  pact vcluster show prod -o json | jq -r .overlay_sha256
  pact vcluster show prod --out prod.tar
  pact vcluster show prod --out - | tar -t
  pact vcluster show --default

`pact vcluster --help` tells the fields of -o json.";

/// Shows one vCluster.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "pact vcluster show <NAME | --default> [--out <FILE>] [OPTIONS]")]
pub struct Show {
    /// Name of the vCluster
    #[arg(value_name = "NAME", required_unless_present = "default", conflicts_with = "default")]
    name: Option<String>,

    /// What the nodes in no vCluster are configured by
    #[arg(long)]
    default: bool,

    /// Write the overlay to this file; `-` is stdout, which then holds nothing else
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Show {
    /// Asks for the vCluster.
    ///
    /// # Errors
    /// If the name is none, stdout is to hold two things, the journal refuses or cannot be reached, or the overlay cannot
    /// be written.
    pub async fn run(self, journals: &Journals, output: Output) -> Result<Answer, Failure> {
        self.check(output)?;
        // Empty on the wire is the domain's default; the parser lets no other name be missing.
        let vcluster_id = self.name.as_deref().map(name).transpose()?;
        let vcluster_id = vcluster_id.map(|name| name.to_string()).unwrap_or_default();
        let request = GetVClusterRequest { vcluster_id, min_seq: None };
        let answer = journals.ask(async |channel| vclusters(channel).get_v_cluster(request).await).await?;
        shown(answer, self.out.as_deref())
    }

    /// Stdout holds one thing.
    fn check(&self, output: Output) -> Result<(), Failure> {
        if output == Output::Json && self.out.as_deref() == Some(Path::new(overlay::DASH)) {
            let told = "stdout holds the overlay with `--out -` and the document with `-o json`; choose one";
            return Err(Failure::Usage(told.to_owned()));
        }
        Ok(())
    }
}

/// Makes the answer, and writes the overlay where it was asked for.
fn shown(answer: GetVClusterResponse, out: Option<&Path>) -> Result<Answer, Failure> {
    let vcluster = answer::vcluster(answer.vcluster)?;
    if let Some(out) = out {
        overlay::check(&vcluster, &answer.overlay)?;
        if out == Path::new(overlay::DASH) {
            return Ok(Answer::Bytes(answer.overlay));
        }
        overlay::write(out, &answer.overlay)?;
    }
    Ok(Answer::VCluster(Box::new(vcluster)))
}

#[cfg(test)]
mod tests {
    use events::vocabulary::{Digest, Timestamp};
    use proto::{convert::moment, pb::VCluster};

    use super::*;

    fn answer(overlay: &[u8]) -> GetVClusterResponse {
        let vcluster = VCluster {
            vcluster_id: "prod".to_owned(),
            sha256: Digest::of(b"overlay").as_bytes().to_vec(),
            size: 7,
            set_at: Some(moment::to_wire(Timestamp::default())),
            ..VCluster::default()
        };
        GetVClusterResponse { vcluster: Some(vcluster), overlay: overlay.to_vec(), seq: 1 }
    }

    #[test]
    fn the_overlay_goes_where_it_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("overlay");
        assert!(matches!(shown(answer(b"overlay"), Some(&file)), Ok(Answer::VCluster(_))));
        assert_eq!(std::fs::read(&file).unwrap(), b"overlay");
        let Ok(Answer::Bytes(bytes)) = shown(answer(b"overlay"), Some(Path::new("-"))) else { panic!() };
        assert_eq!(bytes, b"overlay");
    }

    #[test]
    fn bytes_of_another_hash_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("overlay");
        let failure = shown(answer(b"another"), Some(&file)).unwrap_err();
        assert_eq!(failure.reason_text(), "ANSWER_INVALID");
        assert!(!file.exists());
    }

    #[test]
    fn stdout_holds_one_thing() {
        let show = |out: &str| Show { name: None, default: true, out: Some(out.into()) };
        assert!(show("-").check(Output::Json).is_err());
        assert!(show("-").check(Output::Table).is_ok() && show("file").check(Output::Json).is_ok());
    }
}
