//! What the probe found, for people: what is presented, every interface with its reason, and the command that
//! registers this machine.
//!
//! `pact-agent hardware` prints it.
//!
//! **Invariant:** the command can be pasted into a shell: no text of the firmware is more than one word of it.

use std::fmt::{self, Display, Write};

use super::{Interface, Probed};

impl Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let macs: Vec<String> = self.hardware.macs.iter().map(ToString::to_string).collect();
        writeln!(f, "macs        {}", macs.join(" "))?;
        writeln!(f, "bmc_serial  {}", self.serial)?;
        writeln!(f, "uuid        {}", self.uuid)?;
        writeln!(f, "\ninterfaces")?;
        let width = self.interfaces.iter().map(|interface| interface.name.chars().count()).max();
        for Interface { name, verdict } in &self.interfaces {
            write!(f, "  {name:width$}  ", width = width.unwrap_or_default())?;
            match verdict {
                Ok(mac) => writeln!(f, "{mac}")?,
                Err(left_out) => writeln!(f, "left out: {left_out}")?,
            }
        }
        write!(f, "\nto register this machine\n  {}", self.registration())
    }
}

impl Probed {
    /// The command that registers what was found.
    fn registration(&self) -> String {
        let mut command = "pact node enroll NODE_ID".to_owned();
        let mut add = |flag: &str, value: &dyn Display| {
            write!(command, " {flag} {}", word(&value.to_string())).expect("a String takes any text");
        };
        self.hardware.macs.iter().for_each(|mac| add("--mac", mac));
        self.hardware.bmc_serial.iter().for_each(|serial| add("--bmc-serial", serial));
        self.hardware.uuid.iter().for_each(|uuid| add("--uuid", uuid));
        command
    }
}

/// A text as one word of a shell.
fn word(text: &str) -> String {
    let plain =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, ':' | '-' | '_' | '.' | '/');
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
