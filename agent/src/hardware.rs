//! What identifies this machine, read from the file that `--hardware` names in place of the probe.
//!
//! `main` reads it once, through [`crate::run::Agent::of`]. The format is that of a node's `hardware` in `pact node
//! inspect -o json`, and what `pact-agent hardware -o json` prints:
//! `{"macs":["aa:bb:cc:dd:ee:01"],"bmc_serial":"SN1","uuid":null}`.
//!
//! Not here, on purpose: whether the hardware is registered (the journal knows), and the real hardware
//! ([`crate::probe`]).
//!
//! **Invariant:** what was read can be presented: a journal never calls it malformed.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use events::vocabulary::{HardwareIdentity, InvalidHardware};
use serde::Deserialize;

/// A hardware file has a few hundred bytes; what is much larger is another file.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a hardware file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HardwareFileError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// As the user named it.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not the JSON that was expected.
    #[error("{path} is no hardware identity: {source}; {EXAMPLE} would be")]
    Format {
        /// As the user named it.
        path: String,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// It is larger than any hardware identity.
    #[error("{path} is no hardware identity: it is larger than {MAX_BYTES} bytes")]
    TooLarge {
        /// As the user named it.
        path: String,
    },
    /// A value that no machine can have.
    #[error("{path} is no hardware identity: {source}")]
    Value {
        /// As the user named it.
        path: String,
        /// Names the field.
        source: InvalidHardware,
    },
    /// Nothing is left once placeholders are taken away.
    #[error("{path} identifies no machine: it has neither a MAC address nor a serial nor a UUID")]
    Empty {
        /// As the user named it.
        path: String,
    },
}

const EXAMPLE: &str = r#"{"macs":["aa:bb:cc:dd:ee:01"],"bmc_serial":"SN1","uuid":null}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HardwareFile {
    macs: Vec<String>,
    bmc_serial: Option<String>,
    uuid: Option<String>,
}

/// Reads a hardware file.
///
/// # Errors
/// If it cannot be read, is not of the format, or identifies no machine.
pub fn read(path: &Path) -> Result<HardwareIdentity, HardwareFileError> {
    let name = path.display().to_string();
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text))
        .map_err(|source| HardwareFileError::Unreadable { path: name.clone(), source })?;
    parse(&name, &text)
}

/// The same, of text in hand; `name` stands for the path in errors.
///
/// # Errors
/// If the text is not of the format, or identifies no machine.
pub fn parse(name: &str, text: &[u8]) -> Result<HardwareIdentity, HardwareFileError> {
    let path = name.to_owned();
    if text.len() as u64 > MAX_BYTES {
        return Err(HardwareFileError::TooLarge { path });
    }
    let file: HardwareFile = match serde_json::from_slice(text) {
        Ok(file) => file,
        Err(source) => return Err(HardwareFileError::Format { path, source }),
    };
    let [serial, uuid] = [file.bmc_serial, file.uuid].map(Option::unwrap_or_default);
    let hardware = HardwareIdentity::presented(&file.macs, &serial, &uuid)
        .map_err(|source| HardwareFileError::Value { path: path.clone(), source })?;
    if hardware == HardwareIdentity::default() {
        Err(HardwareFileError::Empty { path })
    } else {
        Ok(hardware)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_text(text: &str) -> Result<HardwareIdentity, String> {
        parse("node.json", text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_published_example_is_read() {
        let hardware = read_text(EXAMPLE).unwrap();
        assert_eq!(hardware.macs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["aa:bb:cc:dd:ee:01"]);
        assert_eq!(hardware.bmc_serial.unwrap().as_str(), "SN1");
        assert_eq!(hardware.uuid, None);
    }

    #[test]
    fn serial_and_uuid_may_be_left_out() {
        assert!(read_text(r#"{"macs":["AA-BB-CC-DD-EE-01"]}"#).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, told) in [
            ("", "node.json is no hardware identity: EOF while parsing"),
            (r#"{"macs":[],"mac":[]}"#, "unknown field `mac`"),
            (r#"{"bmc_serial":"SN1"}"#, "missing field `macs`"),
            (r#"{"macs":"aa:bb:cc:dd:ee:01"}"#, "expected a sequence"),
            (r#"{"macs":[],"macs":[]}"#, "duplicate field `macs`"),
            (r#"{"macs":["aa:bb:cc:dd:ee:01"]} x"#, "trailing characters"),
            (r#"{"macs":["aa:bb"]}"#, "\"aa:bb\": a MAC address has 12 hex digits"),
            (r#"{"macs":["01:00:5e:00:00:01"]}"#, "multicast"),
            (r#"{"macs":["aa:bb:cc:dd:ee:01"],"uuid":"7"}"#, "a system UUID is written as"),
            (r#"{"macs":[]}"#, "identifies no machine"),
            (r#"{"macs":["00:00:00:00:00:00"],"bmc_serial":"Default string"}"#, "identifies no machine"),
        ] {
            let error = read_text(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_or_far_too_large_is_refused() {
        let error = read(Path::new("/no/such/node.json")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /no/such/node.json: "), "{error}");

        let error = read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.ends_with("it is larger than 65536 bytes"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
            parse("node.json", &bytes).ok();
        }

        #[test]
        fn no_values_make_reading_panic(macs: Vec<String>, serial: Option<String>, uuid: Option<String>) {
            let text = serde_json::json!({ "macs": macs, "bmc_serial": serial, "uuid": uuid }).to_string();
            parse("node.json", text.as_bytes()).ok();
        }
    }
}
