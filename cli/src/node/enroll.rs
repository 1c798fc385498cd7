//! `pact node enroll`: permits a machine with this hardware to enroll under a name; with `--batch`, many machines.
//!
//! Not here, on purpose: the forms of names, MAC addresses and serials, and placeholders among them (design §8). They go
//! to the journal as given, which refuses with its reason.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, builder::NonEmptyStringValueParser};
use proto::{
    outcome::Failure,
    pb::{HardwareIdentity, RegisterNodeRequest},
};

use super::batch;
use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node enroll compute-042 --mac aa:bb:cc:dd:ee:01
  pact node enroll compute-043 --mac aa:bb:cc:dd:ee:03 --mac aa:bb:cc:dd:ee:04 \\
      --bmc-serial SN-0043 --label rack=r12 --label row=3
  pact node enroll compute-044 --mac aa-bb-cc-dd-ee-05 aa-bb-cc-dd-ee-06 \\
      --uuid 4c4c4544-0042-3510-8052-b4c04f4e3732 -o json
  pact node enroll compute-045 --mac aa:bb:cc:dd:ee:07 --vcluster prod
  pact node enroll --batch nodes.csv --dry-run
  pact node enroll --batch nodes.csv -o json | jq -r '.rows[] | select(.reason) | .line'

After a revocation, the same name begins a new epoch. A BMC serial or UUID that another node has too is a warning on
stderr (blades share theirs), and with -o json a text of `warnings`, which is there only if there are any.

A batch is a CSV file (UTF-8, commas) whose first line names its columns, in any order:
  node_id,mac,bmc_serial,uuid,vcluster
  compute-042,aa:bb:cc:dd:ee:01,SN-0042,,prod
  compute-043,aa:bb:cc:dd:ee:03;aa:bb:cc:dd:ee:04,,,
node_id and mac must be there; several MAC addresses are separated by semicolons. Each row is decided for itself. A row
that is registered so already is unchanged, so that a batch may be run again. If any row failed, the exit code is 1.
With -o json: {\"registered\",\"unchanged\",\"failed\",\"rows\":[{\"line\",\"node_id\",\"reason\",\"message\"}]}, where line 1 is the
header, and reason and message are null unless the row failed; and, if there are any,
\"warnings\":[{\"line\",\"node_id\",\"message\"}].";

/// Permits a machine to enroll under a name.
#[derive(Debug, Args)]
// clap's own line puts NODE_ID behind `--mac`, where it would be taken for a MAC address.
#[command(
    after_help = EXAMPLES,
    override_usage = "pact node enroll <NODE_ID> --mac <MAC>... [OPTIONS]\n       \
                      pact node enroll --batch <FILE.csv> [--dry-run] [OPTIONS]"
)]
pub struct Enroll {
    /// Name of the node, unique in the domain
    #[arg(value_name = "NODE_ID", required_unless_present = "batch")]
    node_id: Option<String>,

    /// MAC address of one of its network cards; all that it has, repeated or in a row
    #[arg(long = "mac", value_name = "MAC", required_unless_present = "batch", num_args = 1..)]
    macs: Vec<String>,

    /// Serial number as the machine's DMI tells it (product_serial)
    #[arg(long, value_name = "SERIAL", value_parser = NonEmptyStringValueParser::new())]
    bmc_serial: Option<String>,

    /// UUID as the machine's DMI tells it (product_uuid)
    #[arg(long, value_name = "UUID", value_parser = NonEmptyStringValueParser::new())]
    uuid: Option<String>,

    /// vCluster that it is in; without one it is in maintenance mode
    #[arg(long, value_name = "VCLUSTER", value_parser = NonEmptyStringValueParser::new())]
    vcluster: Option<String>,

    /// Note beside the node; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// CSV file with many nodes
    #[arg(
        long,
        value_name = "FILE.csv",
        conflicts_with_all = ["node_id", "macs", "bmc_serial", "uuid", "vcluster", "labels"],
        help_heading = "Batch"
    )]
    batch: Option<PathBuf>,

    /// Only tell what would become of each row of the batch; record nothing
    // `requires` alone lets it pass beside what excludes a batch.
    #[arg(long, requires = "batch", conflicts_with_all = ["node_id", "macs"], help_heading = "Batch")]
    dry_run: bool,
}

impl Enroll {
    /// Registers the node, or the nodes of the batch.
    ///
    /// # Errors
    /// [`Failure::Usage`] if a label is given twice, or the batch cannot be read; else if the journal refuses or cannot be
    /// reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        if let Some(file) = &self.batch {
            return Ok(Answer::Batch(batch::run(file, self.dry_run, journals).await?));
        }
        let request = self.request()?;
        let answer = journals.ask(async |channel| nodes(channel).register_node(request).await).await?;
        Answer::of_changed(answer.node, answer.warnings)
    }

    fn request(self) -> Result<RegisterNodeRequest, Failure> {
        let mut labels = BTreeMap::new();
        for (key, value) in self.labels {
            // The wire holds one value a key: the other would be lost without a word.
            if labels.contains_key(&key) {
                return Err(Failure::Usage(format!("the label `{key}` is given twice")));
            }
            labels.insert(key, value);
        }
        Ok(RegisterNodeRequest {
            // The parser lets it be missing in a batch only.
            node_id: self.node_id.unwrap_or_default(),
            hardware_identity: Some(HardwareIdentity {
                mac_addresses: self.macs,
                // On the wire, empty is absent; the parser lets no empty one in.
                bmc_serial: self.bmc_serial.unwrap_or_default(),
                system_uuid: self.uuid.unwrap_or_default(),
            }),
            labels,
            vcluster_id: self.vcluster,
        })
    }
}

/// A text without `=` in `--label`.
#[derive(Debug, thiserror::Error)]
#[error("a label is written KEY=VALUE, as rack=r12")]
struct NoValue;

/// Splits at the first `=`: a value may hold more of them.
fn label(text: &str) -> Result<(String, String), NoValue> {
    let (key, value) = text.split_once('=').ok_or(NoValue)?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        enroll: Enroll,
    }

    fn request(flags: &[&str]) -> Result<RegisterNodeRequest, String> {
        let line = Line::try_parse_from(["enroll"].iter().chain(flags)).map_err(|error| error.to_string())?;
        line.enroll.request().map_err(|failure| failure.to_string())
    }

    #[test]
    fn all_goes_to_the_journal_as_given() {
        let flags = [
            "N1",
            "--mac",
            "AA-bb",
            "--bmc-serial",
            " x ",
            "--uuid",
            "u",
            "--label",
            "a=b=c",
            "--label",
            "d=",
            "--vcluster",
            "V",
        ];
        let request = request(&flags).unwrap();
        assert_eq!((request.node_id.as_str(), request.vcluster_id.as_deref()), ("N1", Some("V")));
        let hardware = request.hardware_identity.unwrap();
        assert_eq!(hardware.mac_addresses, ["AA-bb"]);
        assert_eq!((hardware.bmc_serial.as_str(), hardware.system_uuid.as_str()), (" x ", "u"));
        let labels = [("a", "b=c"), ("d", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(request.labels, BTreeMap::from(labels));
    }

    #[test]
    fn several_macs_repeat_or_stand_in_a_row() {
        for flags in [&["n1", "--mac", "m1", "--mac", "m2"][..], &["n1", "--mac", "m1", "m2"][..]] {
            let hardware = request(flags).unwrap().hardware_identity.unwrap();
            assert_eq!(hardware.mac_addresses, ["m1", "m2"]);
        }
    }

    #[test]
    fn a_node_without_a_mac_is_wrong_usage() {
        assert!(request(&["n1"]).unwrap_err().contains("--mac <MAC>"));
    }

    #[test]
    fn an_empty_serial_is_wrong_usage_and_not_absent() {
        assert!(request(&["n1", "--mac", "m1", "--bmc-serial", ""]).unwrap_err().contains("--bmc-serial"));
        assert!(request(&["n1", "--mac", "m1", "--uuid", ""]).unwrap_err().contains("--uuid"));
        assert!(request(&["n1", "--mac", "m1", "--vcluster", ""]).unwrap_err().contains("--vcluster"));
    }

    #[test]
    fn a_batch_stands_alone() {
        assert!(request(&["--batch", "f"]).is_ok() && request(&["--batch", "f", "--dry-run"]).is_ok());
        for more in
            [&["n1"][..], &["--mac", "m"], &["--uuid", "u"], &["--vcluster", "v"], &["--label", "a=b"]]
        {
            let told = request(&[&["--batch", "f"], more].concat()).unwrap_err();
            assert!(told.contains("cannot be used with"), "{told}");
        }
        assert!(request(&["n1", "--mac", "m1", "--dry-run"]).is_err() && request(&["--dry-run"]).is_err());
    }

    #[test]
    fn a_label_needs_a_value_and_comes_once() {
        let told = request(&["n1", "--mac", "m1", "--label", "rack"]).unwrap_err();
        assert!(told.contains("KEY=VALUE"), "{told}");
        let told = request(&["n1", "--mac", "m1", "--label", "rack=1", "--label", "rack=2"]).unwrap_err();
        assert_eq!(told, "the label `rack` is given twice");
    }
}
