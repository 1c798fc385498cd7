//! The real agent on a machine without a hardware file: what it reads from `/sys` is what a journal sees.
//!
//! The machines are trees that are mounted over `/sys` in a mount namespace of the agent's own: these tests run as root.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::Stdio,
};

use proto::pb::{HardwareIdentity, NodeState, RegisterNodeRequest, node_service_client::NodeServiceClient};
use tokio::process::Command;

use super::{
    agent_process::{assert_refused, ended, run},
    journal_under_test::JournalUnderTest,
};

/// Mounts the first argument over `/sys` and becomes the others.
const MOUNTED: &str = r#"mount --bind "$1" /sys && shift && exec "$@""#;

const UUID: &str = "4c4c4544-0042-3010-8050-b4c04f4d3132";

/// The `/sys` of a machine with two cards in a bond, which is in a bridge, and with a serial and a UUID.
struct Machine {
    sys: PathBuf,
    _directory: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("the directory is ours");
        let machine = Self { sys: directory.path().join("sys"), _directory: directory };
        for (name, mac, own) in [
            ("eno1", "b4:45:06:d1:20:01", "b4:45:06:d1:20:01"),
            ("eno2", "b4:45:06:d1:20:01", "b4:45:06:d1:20:02"),
        ] {
            machine.interface(name, mac);
            machine.file(&format!("class/net/{name}/bonding_slave/perm_hwaddr"), own);
            symlink("../../../devices/card", machine.sys.join("class/net").join(name).join("device"))
                .expect("the directory is ours");
        }
        for (name, made_by) in [("bond0", "bonding"), ("br0", "bridge")] {
            machine.interface(name, "b4:45:06:d1:20:01");
            fs::create_dir(machine.sys.join("class/net").join(name).join(made_by))
                .expect("the directory is ours");
        }
        machine.file("class/dmi/id/product_serial", "7XK2Q93");
        machine.file("class/dmi/id/product_uuid", UUID);
        machine
    }

    fn interface(&self, name: &str, mac: &str) {
        self.file(&format!("class/net/{name}/type"), "1");
        self.file(&format!("class/net/{name}/address"), mac);
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.sys.join(name);
        fs::create_dir_all(path.parent().expect("the directory is ours")).expect("the directory is ours");
        fs::write(path, format!("{text}\n")).expect("the directory is ours");
    }

    /// A command that sees this machine's `/sys`.
    fn sees(&self, command: &[&str]) -> Command {
        on(&self.sys, command)
    }
}

fn on(sys: &Path, command: &[&str]) -> Command {
    let may =
        std::process::Command::new("unshare").args(["--mount", "true"]).output().expect("unshare is there");
    let why = String::from_utf8_lossy(&may.stderr);
    assert!(may.status.success(), "this test mounts a /sys of its own, and must run as root: {why}");
    let mut mounted = Command::new("unshare");
    mounted.args(["--mount", "--", "sh", "-c", MOUNTED, "sh"]).arg(sys).args(command);
    mounted.stdin(Stdio::null()).kill_on_drop(true);
    for name in ["PACT_JOURNALS", "PACT_CA", "RUST_LOG"] {
        mounted.env_remove(name);
    }
    mounted
}

const AGENT: &str = env!("CARGO_BIN_EXE_pact-agent");

#[tokio::test]
async fn a_machine_enrolls_as_what_its_kernel_shows() {
    // given: an operator who registers what the machine would present
    let (machine, journal) = (Machine::new(), JournalUnderTest::start().await);
    let shown = ended(&mut machine.sees(&[AGENT, "hardware", "-o", "json"])).await;
    assert_eq!(shown.status.code(), Some(0), "{}", String::from_utf8_lossy(&shown.stderr));
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(
        text,
        format!(
            "{{\"macs\":[\"b4:45:06:d1:20:01\",\"b4:45:06:d1:20:02\"],\"bmc_serial\":\"7XK2Q93\",\"uuid\":\"{UUID}\"}}\n"
        )
    );
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let hardware = HardwareIdentity {
        mac_addresses: told["macs"].as_array().unwrap().iter().map(word).collect(),
        bmc_serial: word(&told["bmc_serial"]),
        system_uuid: word(&told["uuid"]),
    };
    let request = RegisterNodeRequest {
        node_id: "compute-042".to_owned(),
        hardware_identity: Some(hardware),
        ..Default::default()
    };
    let mut nodes = NodeServiceClient::new(journal.operator().await.channel());
    nodes.register_node(request).await.unwrap();

    // when it enrolls without a hardware file, and with what it has shown as one
    let file = journal.file("shown.json");
    fs::write(&file, &text).unwrap();
    let (ca, file) = (journal.ca().display().to_string(), file.display().to_string());
    let run = [AGENT, "run", "--once", "-o", "json", "--journal", &journal.agents, "--ca", &ca];
    for more in [&[][..], &["--hardware", &file]] {
        let output = ended(&mut machine.sees(&[&run[..], more].concat())).await;

        // then
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let enrolled: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(enrolled["node_id"], "compute-042");
        journal.sees("compute-042", NodeState::Inactive).await;
    }
}

#[tokio::test]
async fn rule_13_another_machine_with_one_of_its_cards_is_refused() {
    let (machine, journal) = (Machine::new(), JournalUnderTest::start().await);
    let hardware = HardwareIdentity {
        mac_addresses: vec!["b4:45:06:d1:20:02".to_owned()],
        bmc_serial: "7XK2Q94".to_owned(),
        ..Default::default()
    };
    let request = RegisterNodeRequest {
        node_id: "compute-042".to_owned(),
        hardware_identity: Some(hardware),
        ..Default::default()
    };
    let mut nodes = NodeServiceClient::new(journal.operator().await.channel());
    nodes.register_node(request).await.unwrap();

    let ca = journal.ca().display().to_string();
    let run = [AGENT, "run", "--once", "-o", "json", "--journal", &journal.agents, "--ca", &ca];
    assert_refused(&ended(&mut machine.sees(&run)).await, 1, "HARDWARE_MISMATCH");
}

#[tokio::test]
async fn a_machine_without_a_card_ends_with_1_and_says_what_was_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("class/net/docker0/bridge")).unwrap();
    let output = ended(&mut on(directory.path(), &[AGENT, "hardware", "-o", "json"])).await;
    assert_refused(&output, 1, "HARDWARE_NOT_FOUND");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("/sys/class/net shows no network card"), "{stderr}");
    assert!(stderr.contains("(docker0: a bridge, no card)"), "{stderr}");
}

#[tokio::test]
async fn who_may_not_read_the_serial_is_warned_and_presents_the_rest() {
    // given: a serial that belongs to another user, and an agent that is root without its powers
    let machine = Machine::new();
    let serial = machine.sys.join("class/dmi/id/product_serial");
    fs::set_permissions(&serial, fs::Permissions::from_mode(0o400)).unwrap();
    chown(&serial, Some(65_534), Some(65_534)).unwrap();
    let powerless =
        ["setpriv", "--bounding-set=-dac_override,-dac_read_search", AGENT, "hardware", "-o", "json"];

    // when
    let output = ended(&mut machine.sees(&powerless)).await;

    // then
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("bmc_serial is not presented: only root may read it"), "{stderr}");
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&shown["bmc_serial"], &shown["uuid"]), (&serde_json::Value::Null, &UUID.into()));
}

/// `pact` as a journal's first operator.
async fn pact(journal: &JournalUnderTest, arguments: &[String]) -> serde_json::Value {
    let beside = || Path::new(AGENT).parent().expect("it lies in a directory").to_owned();
    let binaries = env::var_os("PACT_BIN_DIR").map_or_else(beside, PathBuf::from);
    let endpoints = fs::read(journal.file("j1/endpoints.json")).expect("it serves");
    let endpoints: serde_json::Value = serde_json::from_slice(&endpoints).expect("it is a document");
    let endpoint = format!("https://{}", endpoints["operator"].as_str().expect("it listens"));
    let mut pact = Command::new(binaries.join("pact"));
    pact.args(arguments).args(["-o", "json", "--endpoint", &endpoint, "--ca"]).arg(journal.ca());
    pact.arg("--credential").arg(journal.file("j1/bootstrap/operator.pem"));
    let output = ended(&mut pact).await;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("stdout is a document")
}

#[tokio::test]
async fn the_machine_of_this_test_enrolls_as_what_it_shows_if_it_has_cards() {
    // given: an operator who registers what the probe of this very machine shows
    let shown = ended(Command::new(AGENT).args(["hardware", "-o", "json"]).env_remove("RUST_LOG")).await;
    if shown.status.code() != Some(0) {
        return assert_refused(&shown, 1, "HARDWARE_NOT_FOUND");
    }
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let journal = JournalUnderTest::start().await;
    let macs = shown["macs"].as_array().unwrap().iter().filter_map(serde_json::Value::as_str);
    let mut enroll: Vec<String> = ["node", "enroll", "this-machine", "--mac"].map(str::to_owned).into();
    enroll.extend(macs.map(str::to_owned));
    for (flag, field) in [("--bmc-serial", "bmc_serial"), ("--uuid", "uuid")] {
        enroll.extend(shown[field].as_str().into_iter().flat_map(|value| [flag, value]).map(str::to_owned));
    }
    pact(&journal, &enroll).await;

    // when it enrolls by its probe alone
    let mut run = run();
    run.args(["--once", "-o", "json", "--journal", &journal.agents, "--ca"]).arg(journal.ca());
    let output = ended(&mut run).await;

    // then
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let enrolled: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(enrolled["node_id"], "this-machine");
    journal.sees("this-machine", NodeState::Inactive).await;
    let seen = pact(&journal, &["node", "inspect", "this-machine"].map(str::to_owned)).await;
    assert_eq!((&seen["node_id"], &seen["state"]), (&"this-machine".into(), &"inactive".into()), "{seen}");
    assert_eq!(seen["certificate"]["serial"], enrolled["serial"], "{seen}");
}

#[tokio::test]
async fn the_machine_of_this_test_shows_cards_that_its_kernel_lists_or_says_that_it_has_none() {
    let mut command = Command::new(AGENT);
    let output = ended(command.args(["hardware", "-o", "json"]).env_remove("RUST_LOG")).await;
    if output.status.code() != Some(0) {
        return assert_refused(&output, 1, "HARDWARE_NOT_FOUND");
    }
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let listed: Vec<String> = fs::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|interface| interface.join("device").exists())
        .flat_map(|interface| ["address", "bonding_slave/perm_hwaddr"].map(|file| interface.join(file)))
        .filter_map(|file| fs::read_to_string(file).ok())
        .map(|text| text.trim().to_owned())
        .collect();
    let macs = shown["macs"].as_array().unwrap();
    assert!(!macs.is_empty());
    for mac in macs {
        assert!(listed.iter().any(|listed| mac == listed), "{mac} is not among {listed:?}");
    }
}
