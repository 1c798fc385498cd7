//! What an overlay may declare, and what it may not.

use proptest::prelude::*;

use super::*;

const WHOLE: &str = r#"pact_services = 1

[[service]]
name = "web"
command = ["/usr/bin/web", "--port", "80"]
environment = { SECRET = "hunter2" }
restart = "on-failure"
stop_within_secs = 3

[[service]]
name = "first"
command = ["/bin/first"]
order = 1
wait_secs = 5

[[service]]
name = "chronyd"
command = ["/usr/sbin/chronyd", "-d"]
order = 500
time_sync = true
in_maintenance = true
"#;

fn names(overlay: &str) -> Vec<String> {
    let services = read(overlay.as_bytes()).unwrap().unwrap();
    services.into_iter().map(|service| service.name).collect()
}

/// One service with these lines more.
fn with(lines: &str) -> String {
    format!("pact_services = 1\n[[service]]\nname = \"a\"\ncommand = [\"/a\"]\n{lines}\n")
}

fn wrong(overlay: &str) -> String {
    read(overlay.as_bytes()).unwrap_err().to_string()
}

#[test]
fn services_come_in_the_order_of_their_start_and_time_first() {
    assert_eq!(names(WHOLE), ["chronyd", "first", "web"]);
}

#[test]
fn what_is_not_said_has_its_default() {
    let services = read(with("").as_bytes()).unwrap().unwrap();
    let Service { order, restart, time_sync, in_maintenance, wait, stop_within, .. } = &services[0];
    assert_eq!((*order, *restart, *time_sync, *in_maintenance), (100, Restart::Always, false, false));
    assert_eq!((*wait, *stop_within), (Duration::ZERO, Duration::from_secs(10)));
}

#[test]
fn an_overlay_of_another_form_declares_nothing() {
    for other in ["", "\n", "hostname = \"a\"", "pact_servicesx = 1", "# pact_services = 1", "{\"a\":1}"] {
        assert_eq!(read(other.as_bytes()), Ok(None), "{other}");
    }
    assert_eq!(read(&[0xff; 100]), Ok(None));
    assert_eq!(read(b"pact_services = 1\n"), Ok(Some(vec![])));
}

#[test]
fn a_mistake_is_told_with_its_place() {
    for (overlay, told) in [
        ("pact_services = 2\n".to_owned(), "pact_services must be 1: this release reads no other form"),
        (with("ordr = 1"), "line 5: unknown field `ordr`"),
        (with("order = \"hunter2\""), "line 5: this is not TOML, or a value is of the wrong kind"),
        (with("order = -1"), "line 5: this is not TOML, or a value is of the wrong kind"),
        (with("environment = { \"A=B\" = \"\" }"), "service 1: environment must have at most 64 variables"),
        (with("environment = { A = \"\\u0000\" }"), "service 1: environment must have values of at most"),
        (with("wait_secs = 61"), "service 1: wait_secs must be at most 60"),
        (with("stop_within_secs = 0"), "service 1: stop_within_secs must be from 1 to 60"),
        (with("[[service]]\nname = \"a\"\ncommand = [\"/b\"]"), "service 2 has the name of another"),
        (with("").replace("/a", "a"), "service 1: command must begin with the absolute path"),
        (with("").replace("[\"/a\"]", "[]"), "service 1: command must begin with the absolute path"),
        (with("").replace("\"a\"", "\"-a\""), "service 1: name must have 1 to 64 of a-z"),
        (with("").replace("name = \"a\"\n", ""), "line 2: missing field `name`"),
    ] {
        let error = wrong(&overlay);
        assert!(error.starts_with(told), "{error}");
        assert!(!error.contains("hunter2"));
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let many: String = (0..=SERVICES).fold("pact_services = 1\n".to_owned(), |text, number| {
        format!("{text}[[service]]\nname = \"s{number}\"\ncommand = [\"/a\"]\n")
    });
    assert_eq!(read(many.as_bytes()), Err(DeclarationError::TooMany));
    let large = format!("{}#{}", with(""), "x".repeat(DECLARATION_BYTES));
    assert_eq!(read(large.as_bytes()), Err(DeclarationError::TooLarge));
    let long = with("").replace("\"/a\"", &format!("\"/a\", \"{}\"", "x".repeat(WORD_BYTES + 1)));
    assert!(wrong(&long).contains("at most 64 words"));
}

#[test]
fn rule_23_nothing_of_the_environment_is_shown() {
    let services = read(WHOLE.as_bytes()).unwrap().unwrap();
    assert!(!format!("{services:?}").contains("hunter2"));
}

#[test]
fn a_service_with_another_place_in_the_order_is_run_alike_and_with_another_word_is_not() {
    let one = |lines: &str| read(with(lines).as_bytes()).unwrap().unwrap().remove(0);
    assert!(one("").is_run_alike(&one("order = 1\nwait_secs = 3\nrestart = \"never\"")));
    assert!(!one("").is_run_alike(&one("environment = { A = \"1\" }")));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes: Vec<u8>, at in 0..WHOLE.len(), byte: u8) {
        read(&bytes).ok();
        read(&[b"pact_services = 1\n", &bytes[..]].concat()).ok();
        let mut damaged = WHOLE.as_bytes().to_vec();
        damaged[at] = byte;
        if let Err(error) = read(&damaged) {
            prop_assert!(error.to_string().len() < 300, "{error}");
        }
    }
}
