//! What may stand where, what counts over what, and how each mistake is told.

use std::collections::BTreeSet;

use clap::Args;
use toml::{Table, Value};

use super::keys::{KEYS, Key};
use super::*;

const LEAST: &str = "advertise = [\"localhost\"]\n";

fn load(text: &str, environment: &[(&str, &str)], settings: Settings) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.toml");
    std::fs::write(&file, text).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
    Config::load(&file, &environment, &settings)
        .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

fn read(text: &str) -> Result<Config, String> {
    load(text, &[], Settings::default())
}

fn defaults() -> Table {
    Table::try_from(Config::default()).unwrap()
}

#[test]
fn what_is_left_out_is_the_default() {
    let advertise = vec!["localhost".to_owned()];
    assert_eq!(read(LEAST), Ok(Config { advertise, ..Config::default() }));
}

#[test]
fn a_journal_without_a_name_is_refused() {
    assert!(read("").unwrap_err().contains("advertise is missing"));
    assert!(read("advertise = []").unwrap_err().contains("line 1: advertise = []: must be 1 to 64"));
    assert!(read("advertise = [\"\"]").unwrap_err().contains("host names"));
    assert!(read("advertise = [\"https://j1:9443\"]").unwrap_err().contains("without ports"));
}

#[test]
fn what_is_written_is_read_back() {
    let advertise = vec!["::1".to_owned()];
    let config = Config { certificate_ttl_secs: 60, advertise, ..Config::default() };
    assert_eq!(read(&toml::to_string(&config).unwrap()), Ok(config));
}

#[test]
fn an_unknown_key_is_an_error_that_names_key_and_line() {
    let told = read("reflection = true\nagent_listne = \"127.0.0.1:1\"\nadvertise = [\"a\"]\n").unwrap_err();
    assert_eq!(told, "journal.toml, line 2: agent_listne: there is no such key");
    let told = read("advertise = [\"a\"]\n\n[more]\nx = 1\n").unwrap_err();
    assert_eq!(told, "journal.toml, line 3: more: there is no such key");
}

#[test]
fn a_value_outside_its_limits_is_an_error_that_names_them() {
    for (line, limit) in [
        ("certificate_ttl_secs = 29", "from 30 to 31536000"),
        ("certificate_ttl_secs = 31536001", "from 30 to 31536000"),
        ("authority_ttl_secs = 89", "from 90 to 315360000, and at least three times certificate_ttl_secs"),
        ("authority_ttl_secs = 315360001", "from 90 to 315360000"),
        ("grace_period_secs = 0", "from 1 to 86400"),
        ("grace_period_secs = 86401", "from 1 to 86400"),
        ("stale_after_secs = 9", "from 10 to 600"),
        ("stale_after_secs = 601", "from 10 to 600"),
        ("disk_reserve_bytes = -1", "from 0 to 1125899906842624"),
        ("unknown_per_minute = 0", "from 1 to 100000"),
        ("unknown_per_minute = 100001", "from 1 to 100000"),
        ("unknown_per_minute = -1", "from 1 to 100000"),
        ("unknown_per_minute = 99999999999999999999", "from 1 to 100000"),
    ] {
        let told = read(&format!("{LEAST}{line}")).unwrap_err();
        assert!(told.starts_with(&format!("journal.toml, line 2: {line}: must be ")), "{told}");
        assert!(told.contains(limit), "{told}");
    }
    for (line, key) in
        [("certificate_ttl_secs = 31536000", "authority_ttl_secs"), ("certificate_ttl_secs = 30", "")]
    {
        // The limits themselves are inside; what hangs on them is told as what it is.
        let told = read(&format!("{LEAST}{line}")).err().unwrap_or_default();
        assert!(key.is_empty() == told.is_empty() && !told.contains("must be"), "{told}");
    }
}

#[test]
fn a_value_of_another_type_is_an_error_with_its_line() {
    for line in [
        "agent_listen = 9443",
        "agent_listen = \"localhost:9443\"",
        "agent_listen = \"127.0.0.1\"",
        "agent_listen = { ip = \"::1\" }",
        "advertise = \"localhost\"",
        "advertise = [1]",
        "certificate_ttl_secs = \"3d\"",
        "certificate_ttl_secs = 60.0",
        "grace_period_secs = 2026-01-01",
        "reflection = 1",
        "reflection = \"true\"",
    ] {
        let told = read(&format!("\n\n{line}\n")).unwrap_err();
        assert!(told.contains("journal.toml, line 3: ") && told.contains("must be "), "{line}: {told}");
    }
}

#[test]
fn a_warm_reboot_is_off_or_claimed_wherever_that_is_said() {
    assert_eq!(read(LEAST).unwrap().warm_reboot, WarmReboot::Off);
    for (text, expected) in [("off", WarmReboot::Off), ("claimed", WarmReboot::Claimed)] {
        assert_eq!(read(&format!("{LEAST}warm_reboot = \"{text}\"")).unwrap().warm_reboot, expected);
        let environment = [("PACT_JOURNAL_WARM_REBOOT", text)];
        assert_eq!(load(LEAST, &environment, Settings::default()).unwrap().warm_reboot, expected);
        let flag = Settings { warm_reboot: Some(text.to_owned()), ..Settings::default() };
        assert_eq!(load(LEAST, &[], flag).unwrap().warm_reboot, expected);
    }
    for wrong in ["\"tpm\"", "\"on\"", "\"Claimed\"", "true", "1"] {
        let told = read(&format!("{LEAST}warm_reboot = {wrong}")).unwrap_err();
        let expected = format!("journal.toml, line 2: warm_reboot = {wrong}: must be \"off\" or \"claimed\"");
        assert_eq!(told, expected);
    }
}

#[test]
fn numbers_are_read_as_toml_writes_them() {
    let config =
        read(&format!("{LEAST}unknown_per_minute = 0x7f\nauthority_ttl_secs = 3_888_000\n")).unwrap();
    assert_eq!((config.unknown_per_minute, config.authority_ttl_secs), (127, 3_888_000));
}

#[test]
fn an_address_that_appears_twice_is_an_error_where_it_was_set() {
    let twice = |text: &str| read(&format!("{LEAST}{text}"));
    let told = twice("agent_listen = \"127.0.0.1:1\"\nhttp_listen = \"127.0.0.1:1\"\n").unwrap_err();
    assert!(told.starts_with("journal.toml, line 3: http_listen = \"127.0.0.1:1\": "), "{told}");
    assert!(told.contains("http_listen and agent_listen listen on the same address"), "{told}");
    // Also where the other one is a default, and where one listens on all addresses.
    let told = twice("agent_listen = \"127.0.0.1:9446\"").unwrap_err();
    assert!(told.starts_with("journal.toml, line 2: agent_listen"), "{told}");
    for all in ["0.0.0.0:9446", "[::]:9446"] {
        assert!(twice(&format!("agent_listen = \"{all}\"")).is_err(), "{all}");
    }
    for apart in ["127.0.0.2:9446", "[::1]:9446", "127.0.0.1:9447"] {
        assert!(twice(&format!("agent_listen = \"{apart}\"")).is_ok(), "{apart}");
    }
    assert!(twice("agent_listen = \"127.0.0.1:0\"\nhttp_listen = \"127.0.0.1:0\"").is_ok(), "any free ones");
}

#[test]
fn what_is_no_toml_is_an_error_with_its_line() {
    for (text, line) in [
        ("advertise = [\"a\"]\nagent_listen = 127.0.0.1:9443\n", 2),
        ("advertise = [\"a\"]\nreflection\n", 2),
        ("advertise = [\"a\"]\nreflection = true\nreflection = false\n", 3),
        ("advertise = [\"a\n", 1),
    ] {
        let told = read(text).unwrap_err();
        assert!(told.contains(&format!("journal.toml, line {line}: ")), "{told}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "reflection = maybe\nagent_listne = 1\ncertificate_ttl_secs = 1\nadvertise = []\n\
                operator_listen = \"127.0.0.1:7\"\nhttp_listen = \"127.0.0.1:7\"\n";
    let told = read(text).unwrap_err();
    let mut lines = told.lines();
    assert_eq!(lines.next(), Some("the configuration has 5 mistakes:"), "{told}");
    for (line, number) in lines.zip([1, 2, 3, 4, 6]) {
        assert!(line.starts_with(&format!("  journal.toml, line {number}: ")), "{told}");
    }
}

#[test]
fn a_flag_counts_over_the_environment_which_counts_over_the_file() {
    let file = format!("{LEAST}unknown_per_minute = 1\n");
    let environment = [("PACT_JOURNAL_UNKNOWN_PER_MINUTE", "2")];
    let settings = || Settings { unknown_per_minute: Some(3), ..Settings::default() };
    let number = |environment: &[(&str, &str)], settings| {
        load(&file, environment, settings).map(|config| config.unknown_per_minute)
    };
    assert_eq!(number(&[], Settings::default()), Ok(1));
    assert_eq!(number(&environment, Settings::default()), Ok(2));
    assert_eq!(number(&environment, settings()), Ok(3));
    assert_eq!(number(&[], settings()), Ok(3));
    assert_eq!(
        number(&[("PACT_JOURNAL_UNKNOWN_PER_MINUTE", "")], Settings::default()),
        Ok(1),
        "empty is unset"
    );
}

#[test]
fn every_key_can_be_set_by_its_variable_and_by_its_flag() {
    for key in &KEYS {
        let (text, value) = match key.name {
            "agent_listen" | "operator_listen" | "cluster_listen" | "http_listen" => {
                ("127.0.0.1:7", Value::from("127.0.0.1:7"))
            }
            "advertise" => ("a.example,::1", Value::from(vec!["a.example", "::1"])),
            "certificate_ttl_secs"
            | "grace_period_secs"
            | "unconfirmed_alert_secs"
            | "stale_after_secs"
            | "unknown_per_minute"
            | "disk_reserve_bytes" => ("77", Value::from(77)),
            "authority_ttl_secs" => ("7777777", Value::from(7_777_777)),
            "warm_reboot" => ("claimed", Value::from("claimed")),
            "reflection" => ("true", Value::from(true)),
            "workload_trust_domain" => ("a.example", Value::from("a.example")),
            "workload_bundle" => ("/a.pem", Value::from("/a.pem")),
            other => panic!("a value for {other} is missing here"),
        };
        // The two that mean nothing alone: the other one stands in the file.
        let besides = match key.name {
            "workload_trust_domain" => "workload_bundle = \"/b.pem\"\n",
            "workload_bundle" => "workload_trust_domain = \"b.example\"\n",
            _ => "",
        };
        let file = format!("{LEAST}{besides}");
        let by_variable = load(&file, &[(&key.variable(), text)], Settings::default()).unwrap();
        let flag = format!("{}={text}", key.flag());
        let by_flag = load(&file, &[], flags(&["serve", &flag])).unwrap();
        for config in [by_variable, by_flag] {
            let table = Table::try_from(config).unwrap();
            assert_eq!(table[key.name], value, "{}", key.name);
            let others = |table: &Table| {
                let mut table = table.clone();
                table.remove(key.name);
                table.remove("advertise");
                if !besides.is_empty() {
                    table.remove("workload_trust_domain");
                    table.remove("workload_bundle");
                }
                table
            };
            assert_eq!(others(&table), others(&defaults()), "nothing but {}", key.name);
        }
    }
}

fn flags(line: &[&str]) -> Settings {
    let command = Settings::augment_args(clap::Command::new("serve"));
    let matches = command.try_get_matches_from(line).unwrap();
    <Settings as clap::FromArgMatches>::from_arg_matches(&matches).unwrap()
}

#[test]
fn a_switch_is_turned_on_by_its_flag_alone() {
    assert_eq!(flags(&["serve", "--reflection"]).reflection, Some(true));
    assert_eq!(flags(&["serve", "--reflection=false"]).reflection, Some(false));
    assert_eq!(flags(&["serve"]).reflection, None);
}

#[test]
fn each_mistake_says_which_of_the_three_it_is_in() {
    let told = load(
        "advertise = [\"a\"]\nunknown_per_minute = 0\n",
        &[("PACT_JOURNAL_UNKNOWN_PER_MINUTE", "many"), ("PACT_JOURNAL_REFLECTION", "yes")],
        Settings { grace_period_secs: Some(0), certificate_ttl_secs: Some(u32::MAX), ..Settings::default() },
    );
    let told = told.unwrap_err();
    for place in [
        "journal.toml, line 2: unknown_per_minute = 0: must be ",
        "environment: PACT_JOURNAL_UNKNOWN_PER_MINUTE=many: must be ",
        "environment: PACT_JOURNAL_REFLECTION=yes: must be true or false",
        "command line: --grace-period-secs 0: must be ",
        "command line: --certificate-ttl-secs 4294967295: must be ",
    ] {
        assert!(told.contains(place), "{told}");
    }
    let short = Settings { grace_period_secs: Some(0), ..Settings::default() };
    let told = load(LEAST, &[], short).unwrap_err();
    assert!(told.starts_with("command line: --grace-period-secs 0: must be "), "{told}");
}

#[test]
fn an_authority_that_is_too_short_is_told_where_it_was_made_so() {
    let variable = [("PACT_JOURNAL_CERTIFICATE_TTL_SECS", "31536000")];
    let told = load(LEAST, &variable, Settings::default()).unwrap_err();
    assert!(told.starts_with("environment: PACT_JOURNAL_CERTIFICATE_TTL_SECS=31536000: "), "{told}");
    assert!(told.contains("three times"), "{told}");
    let told = read(&format!("{LEAST}authority_ttl_secs = 777599\n")).unwrap_err();
    assert!(told.starts_with("journal.toml, line 2: authority_ttl_secs = 777599: "), "{told}");
    assert!(read(&format!("{LEAST}authority_ttl_secs = 777600\n")).is_ok());
}

#[test]
fn a_variable_that_stands_for_no_key_is_seen() {
    let variables = ["PACT_JOURNAL_AGENT_LISTEN", "PACT_JOURNAL_PORT", "PACT_JOURNALS", "PATH"];
    let environment: Environment = variables.map(|name| (name.to_owned(), "x".into())).into_iter().collect();
    assert_eq!(environment.strangers(), ["PACT_JOURNAL_PORT"]);
}

#[test]
fn the_table_of_keys_is_that_of_the_configuration() {
    let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    let written = toml::to_string(&Config::default()).unwrap();
    let fields: Vec<&str> = written.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    assert_eq!(names, fields);
    for key in KEYS.iter().filter(|key| key.name != "advertise") {
        assert!(key.takes(&defaults()[key.name]), "{}: its default is outside its limits", key.name);
    }
}

/// A row of the first table of docs/configuration.md.
fn row(key: &Key) -> String {
    let default = match defaults()[key.name].to_string() {
        none if none == "[]" => "none: it must be given".to_owned(),
        value => format!("`{value}`"),
    };
    let (flag, variable) = (key.flag(), key.variable());
    format!("| `{}` | {default} | {} | `{flag}` | `{variable}` |", key.name, key.limits())
}

#[test]
fn the_document_says_what_the_code_does() {
    let document = std::fs::read_to_string("../docs/configuration.md").unwrap();
    let chapter = document.split("\n## ").find(|chapter| chapter.starts_with("journal.toml")).unwrap();
    let rows: Vec<&str> = chapter.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows, KEYS.iter().map(row).collect::<Vec<_>>());
    let told: BTreeSet<&str> = chapter
        .lines()
        .filter_map(|line| line.strip_prefix("- `")?.split_once('`').map(|(name, _)| name))
        .collect();
    assert_eq!(told, KEYS.iter().map(|key| key.name).collect(), "each is explained");
}
