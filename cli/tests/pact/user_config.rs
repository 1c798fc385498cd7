//! What the user's file says, with the real `pact`: where it is looked for, and what counts over it.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    connection::{Files, bare, ends, nobody},
    text,
};

/// A home directory, with a file of the given text in the folder for configurations.
fn home(folder: &str, config: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(folder).join("pact");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), config).unwrap();
    home
}

/// `pact node list` of the user whose home this is.
fn list(home: &Path) -> Command {
    let mut pact = bare();
    pact.env_remove("XDG_CONFIG_HOME").env("HOME", home).args(["node", "list"]);
    pact
}

fn whole(files: &Files, endpoint: &str) -> String {
    let (ca, credential) = (files.ca(), files.credential());
    format!("endpoints = [\"{endpoint}\"]\nca = {ca:?}\ncredential = {credential:?}\n")
}

#[test]
fn a_damaged_file_stops_no_completion_and_stops_everything_else() {
    let home = home(".config", "endpoints = [");
    let mut completion = bare();
    completion.env_remove("XDG_CONFIG_HOME").env("HOME", home.path()).args(["completion", "bash"]);
    let output = completion.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("_pact"));
    ends(&list(home.path()).output().unwrap(), 2, "error: USAGE: ");
}

#[test]
fn the_file_is_enough() {
    let (files, address) = (Files::new(), nobody());
    let home = home(".config", &whole(&files, &address));
    let output = list(home.path()).output().unwrap();
    ends(&output, 3, &format!("error: UNREACHABLE: no journal answers at {address}"));

    let elsewhere = tempfile::tempdir().unwrap();
    let config_home = home.path().join(".config");
    let output = list(elsewhere.path()).env("XDG_CONFIG_HOME", config_home).output().unwrap();
    ends(&output, 3, &format!("error: UNREACHABLE: no journal answers at {address}"));
}

#[test]
fn the_environment_counts_over_the_file_and_flags_over_both() {
    let (files, [kept, variable, flag]) = (Files::new(), [nobody(), nobody(), nobody()]);
    let home = home(".config", &whole(&files, &kept));
    let asked = |address: &str| format!("error: UNREACHABLE: no journal answers at {address}");
    let output = list(home.path()).env("PACT_ENDPOINTS", &variable).output().unwrap();
    ends(&output, 3, &asked(&variable));
    let mut pact = list(home.path());
    let output = pact.env("PACT_ENDPOINTS", &variable).args(["--endpoint", &flag]).output().unwrap();
    ends(&output, 3, &asked(&flag));
    let output = list(home.path()).env("PACT_ENDPOINTS", "").output().unwrap();
    ends(&output, 3, &asked(&kept));
}

#[test]
fn relative_files_lie_beside_the_file() {
    let (files, address) = (Files::new(), nobody());
    let home =
        home(".config", &format!("endpoints = [\"{address}\"]\nca = \"ca.pem\"\ncredential = \"me.pem\"\n"));
    let output = list(home.path()).output().unwrap();
    let ca = home.path().join(".config/pact/ca.pem");
    ends(&output, 2, &format!("error: USAGE: cannot read {}: ", ca.display()));
    fs::copy(files.ca(), ca).unwrap();
    fs::copy(files.credential(), home.path().join(".config/pact/me.pem")).unwrap();
    let output = list(home.path()).current_dir("/").output().unwrap();
    ends(&output, 3, "error: UNREACHABLE: ");
}

#[test]
fn output_and_timeout_are_kept_too() {
    let files = Files::new();
    let home = home(".config", &format!("{}output = \"json\"\ntimeout = \"5s\"\n", whole(&files, &nobody())));
    let output = list(home.path()).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["reason"], "UNREACHABLE");
    let output = list(home.path()).args(["-o", "table"]).output().unwrap();
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn a_mistake_in_the_file_is_wrong_usage_with_its_line() {
    let home = home(".config", "ca = \"ca.pem\"\nendpoint = \"https://a:1\"\n");
    let file = home.path().join(".config/pact/config.toml");
    let output = list(home.path()).output().unwrap();
    ends(&output, 2, &format!("error: USAGE: {}, line 2: unknown field `endpoint`", file.display()));
    let output = list(home.path()).args(["-o", "json"]).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["reason"], "USAGE");
}

#[test]
fn what_is_missing_is_told_with_all_three_places() {
    let home = tempfile::tempdir().unwrap();
    let output = list(home.path()).output().unwrap();
    let file = home.path().join(".config/pact/config.toml");
    ends(
        &output,
        2,
        &format!(
            "error: USAGE: give --endpoint https://HOST:PORT or set PACT_ENDPOINTS; give --ca FILE or set PACT_CA; \
             give --credential FILE or set PACT_CREDENTIAL; or write endpoints, ca, credential into {}",
            file.display()
        ),
    );
}
