//! `pact node replace-hardware`: puts another machine in a node's place.
//!
//! Not here, on purpose: the forms of MAC addresses and serials. They go to the journal as given, which refuses with its
//! reason.

use clap::{Args, builder::NonEmptyStringValueParser};
use proto::{
    outcome::Failure,
    pb::{HardwareIdentity, ReplaceHardwareRequest},
};

use crate::{
    answer::Answer,
    connection::{Journals, nodes},
};

const EXAMPLES: &str = "\
Examples:
  pact node replace-hardware compute-042 --mac aa:bb:cc:dd:ee:11
  pact node replace-hardware compute-042 --mac aa:bb:cc:dd:ee:11 aa:bb:cc:dd:ee:12 --bmc-serial SN-0142

What is given is all that counts afterwards: a serial that is not given is not registered any more. The former machine's
certificate ends and its connections are cut; the new machine enrolls under the same name, in the same epoch. Addresses
that it does not have are free for other nodes.";

/// Replaces a node's hardware.
#[derive(Debug, Args)]
// clap's own line puts NODE_ID behind `--mac`, where it would be taken for a MAC address.
#[command(
    after_help = EXAMPLES,
    override_usage = "pact node replace-hardware <NODE_ID> --mac <MAC>... [OPTIONS]"
)]
pub struct ReplaceHardware {
    /// Name of the node
    #[arg(value_name = "NODE_ID")]
    node_id: String,

    /// MAC address of one of the new machine's network cards; all that it has, repeated or in a row
    #[arg(long = "mac", value_name = "MAC", required = true, num_args = 1..)]
    macs: Vec<String>,

    /// Serial number as the new machine's DMI tells it (product_serial)
    #[arg(long, value_name = "SERIAL", value_parser = NonEmptyStringValueParser::new())]
    bmc_serial: Option<String>,

    /// UUID as the new machine's DMI tells it (product_uuid)
    #[arg(long, value_name = "UUID", value_parser = NonEmptyStringValueParser::new())]
    uuid: Option<String>,
}

impl ReplaceHardware {
    /// Replaces the hardware.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let request = self.request();
        let answer = journals.ask(async |channel| nodes(channel).replace_hardware(request).await).await?;
        Answer::of_changed(answer.node, answer.warnings)
    }

    fn request(self) -> ReplaceHardwareRequest {
        ReplaceHardwareRequest {
            node_id: self.node_id,
            hardware_identity: Some(HardwareIdentity {
                mac_addresses: self.macs,
                // On the wire, empty is absent; the parser lets no empty one in.
                bmc_serial: self.bmc_serial.unwrap_or_default(),
                system_uuid: self.uuid.unwrap_or_default(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        replace: ReplaceHardware,
    }

    fn request(flags: &[&str]) -> Result<ReplaceHardwareRequest, String> {
        let line = Line::try_parse_from(["replace-hardware"].iter().chain(flags));
        line.map(|line| line.replace.request()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_whole_machine_goes_to_the_journal_as_given() {
        let asked = request(&["N1", "--mac", "AA-bb", "cc", "--bmc-serial", " x ", "--uuid", "u"]).unwrap();
        let hardware = asked.hardware_identity.unwrap();
        assert_eq!(
            (asked.node_id.as_str(), hardware.mac_addresses),
            ("N1", vec!["AA-bb".to_owned(), "cc".to_owned()])
        );
        assert_eq!((hardware.bmc_serial.as_str(), hardware.system_uuid.as_str()), (" x ", "u"));
    }

    #[test]
    fn a_machine_without_an_address_or_with_an_empty_serial_is_wrong_usage() {
        assert!(request(&["n1"]).unwrap_err().contains("--mac <MAC>"));
        assert!(request(&["n1", "--mac", "m", "--bmc-serial", ""]).unwrap_err().contains("--bmc-serial"));
    }
}
