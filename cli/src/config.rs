//! What an operator has written down once: `$XDG_CONFIG_HOME/pact/config.toml`, else `~/.config/pact/config.toml`.
//!
//! `main` reads it before it asks anybody; [`crate::args`] puts flags and the environment over it.
//!
//! Not here, on purpose: what the files that it names hold (`proto::pem_file`).
//!
//! **Invariant:** a file that is not there is an empty one; one that cannot be read whole is never used in part.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;
use proto::{channel::JournalAddress, outcome::Failure};
use serde::{Deserialize, Deserializer, de};

use crate::{answer::Output, duration};

/// The file, in the folder of the user's configurations.
const FILE: &str = "pact/config.toml";

/// See the module.
#[derive(Debug, Default)]
pub struct UserConfig {
    /// What it says.
    pub kept: Kept,
    /// Where it is, or would be. None: no home directory is known.
    pub path: Option<PathBuf>,
}

/// The keys. Unknown ones are errors.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kept {
    /// Operators' listeners, tried in their order.
    #[serde(deserialize_with = "addresses")]
    pub endpoints: Vec<JournalAddress>,
    /// The domain CA certificate. Relative to the folder of the file, as `credential`.
    pub ca: Option<PathBuf>,
    /// The operator's certificate and key.
    pub credential: Option<PathBuf>,
    /// How long a command may take.
    #[serde(deserialize_with = "timeout")]
    pub timeout: Option<Duration>,
    /// Form of the answer.
    #[serde(deserialize_with = "output")]
    pub output: Option<Output>,
}

impl UserConfig {
    /// That of the user who runs this process.
    ///
    /// # Errors
    /// [`Failure::Usage`] if there is a file that cannot be used; names it and the line.
    pub fn of_user() -> Result<Self, Failure> {
        match place(env::var_os("XDG_CONFIG_HOME"), env::var_os("HOME")) {
            Some(path) => Self::read(path),
            None => Ok(Self::default()),
        }
    }

    fn read(path: PathBuf) -> Result<Self, Failure> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => return Ok(Self { kept: Kept::default(), path: Some(path) }),
            Err(error) => return Err(Failure::Usage(format!("cannot read {}: {error}", path.display()))),
        };
        let mut kept: Kept =
            toml::from_str(&text).map_err(|error| Failure::Usage(told(&path, &text, &error)))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for file in [&mut kept.ca, &mut kept.credential].into_iter().flatten() {
            *file = folder.join(&*file);
        }
        Ok(Self { kept, path: Some(path) })
    }

    /// How the file is named to people.
    pub fn shown(&self) -> String {
        let path = self.path.as_ref().map(|path| path.display().to_string());
        path.unwrap_or_else(|| format!("~/.config/{FILE}"))
    }
}

/// By the XDG base directory specification: a relative folder counts as none.
fn place(config_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let folder = |named: Option<OsString>| named.map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = folder(config_home).or_else(|| Some(folder(home)?.join(".config")))?;
    Some(folder.join(FILE))
}

fn is_absent(error: &io::Error) -> bool {
    [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind())
}

/// One sentence with file and line.
fn told(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    format!("{}, line {line}: {}", path.display(), error.message().replace('\n', ", "))
}

fn addresses<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<JournalAddress>, D::Error> {
    let texts = Vec::<String>::deserialize(value)?;
    texts.iter().map(|text| text.trim().parse().map_err(de::Error::custom)).collect()
}

fn timeout<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(value)?;
    duration::parse(&text)
        .map(Some)
        .map_err(|error| de::Error::custom(format!("timeout = {text:?}: {error}")))
}

fn output<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Output>, D::Error> {
    let text = String::deserialize(value)?;
    let wrong = |_| de::Error::custom(format!("output = {text:?}: it is `table` or `json`"));
    Output::from_str(&text, false).map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Kept, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        let shown = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
        let mut kept = UserConfig::read(path).map_err(|failure| shown(failure.to_string()))?.kept;
        for file in [&mut kept.ca, &mut kept.credential].into_iter().flatten() {
            *file = shown(file.display().to_string()).into();
        }
        Ok(kept)
    }

    #[test]
    fn all_keys_are_read_and_relative_files_lie_beside_the_file() {
        let kept = read(
            "endpoints = [\"https://a:1\", \"https://b:2\"]\nca = \"ca.pem\"\ncredential = \"/etc/me.pem\"\n\
             timeout = \"2m\"\noutput = \"json\"\n",
        )
        .unwrap();
        let expected = Kept {
            endpoints: vec!["https://a:1".parse().unwrap(), "https://b:2".parse().unwrap()],
            ca: Some("ca.pem".into()),
            credential: Some("/etc/me.pem".into()),
            timeout: Some(Duration::from_secs(120)),
            output: Some(Output::Json),
        };
        assert_eq!(kept, expected);
    }

    #[test]
    fn a_relative_file_is_relative_to_the_file_s_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "ca = \"keys/ca.pem\"").unwrap();
        let kept = UserConfig::read(path).unwrap().kept;
        assert_eq!(kept.ca, Some(folder.path().join("keys/ca.pem")));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, told) in [
            ("ca = \"a\"\nendpoint = \"https://a:1\"\n", "config.toml, line 2: unknown field `endpoint`"),
            ("\nendpoints = \"https://a:1\"\n", "config.toml, line 2: invalid type: string"),
            ("endpoints = [\"a:1\"]\n", "config.toml, line 1: `a:1` is no address"),
            ("\n\ntimeout = \"10\"\n", "config.toml, line 3: timeout = \"10\": write a whole number"),
            ("output = \"yaml\"\n", "config.toml, line 1: output = \"yaml\": it is `table` or `json`"),
            ("ca = \"a\"\nca = \"b\"\n", "config.toml, line 2: duplicate key"),
            ("ca =\n", "config.toml, line 1: "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(told), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_an_empty_one_and_a_folder_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let absent = UserConfig::read(folder.path().join("no/such.toml")).unwrap();
        assert_eq!(absent.kept, Kept::default());
        let told = UserConfig::read(folder.path().to_owned()).unwrap_err();
        assert!(told.to_string().starts_with("cannot read "), "{told}");
    }

    #[test]
    fn the_document_names_every_key_and_no_other() {
        let document = fs::read_to_string("../docs/configuration.md").unwrap();
        let chapter = document.split("\n## ").find(|chapter| chapter.starts_with("config.toml of pact"));
        let rows = chapter.unwrap().lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let told: Vec<String> = rows.map(|(key, _)| format!("`{key}`")).collect();
        let known = read("unknown = 1").unwrap_err();
        let (_, known) = known.split_once("expected one of ").unwrap();
        assert_eq!(told.join(", "), known);
    }

    #[test]
    fn the_place_is_that_of_the_xdg_specification() {
        let place = |config: Option<&str>, home: Option<&str>| {
            super::place(config.map(Into::into), home.map(Into::into)).map(|path| path.display().to_string())
        };
        assert_eq!(place(Some("/c"), Some("/h")).as_deref(), Some("/c/pact/config.toml"));
        for none in [None, Some(""), Some("relative")] {
            assert_eq!(place(none, Some("/h")).as_deref(), Some("/h/.config/pact/config.toml"));
        }
        assert_eq!(place(None, None), None);
        assert_eq!(place(None, Some("")), None);
    }
}
