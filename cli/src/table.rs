//! Tables for people: columns of plain text, one thing a row, without colours and lines, so that `grep` and `awk` work.
//!
//! [`crate::answer`] prints them. Scripts read `-o json`: these columns may change.
//!
//! **Invariant:** no control character reaches the terminal. Hardware tells pact what it likes, and operators read it.

use comfy_table::{Table, presets};
use proto::{node_json::NodeJson, vcluster_json::VClusterJson};

use crate::{
    journal::{JoinTokenJson, MemberJson},
    node::batch::Report,
    operator::OperatorJson,
    spread::Spread,
    status::{AuthorityJson, StatusJson},
};

/// Shown where there is nothing.
const NONE: &str = "-";
/// Shown in place of a name.
const DOMAIN_DEFAULT: &str = "(domain default)";
/// So many failed rows are shown; nobody reads more before mending these.
const FAULTS_SHOWN_MAX: usize = 100;

/// Nodes, one a row.
pub fn of_nodes(nodes: &[NodeJson]) -> String {
    if nodes.is_empty() {
        return "no nodes".to_owned();
    }
    let mut table = Table::new();
    table.set_header(["NODE", "STATE", "VCLUSTER", "MAC", "CERTIFICATE UNTIL", "LAST SEEN"]);
    for node in nodes {
        table.add_row([
            printable(&node.node_id),
            state(node),
            printable(vcluster(node)),
            first_mac(node),
            shown(node.certificate.as_ref().map(|certificate| certificate.not_after)),
            shown(node.last_seen),
        ]);
    }
    text(table)
}

/// One node, one property a row.
pub fn of_node(node: &NodeJson) -> String {
    let hardware = &node.hardware;
    let mut table = Table::new();
    table.add_rows([
        property("NODE", [&node.node_id]),
        property("DOMAIN", [&node.domain_id]),
        property("STATE", [state(node)]),
        property("EPOCH", [node.epoch]),
        property("VCLUSTER", [vcluster(node)]),
        property("MAC", &hardware.macs),
        property("BMC SERIAL", &hardware.bmc_serial),
        property("UUID", &hardware.uuid),
        property("ASSURANCE", node.assurance),
        property("CERTIFICATE", node.certificate.as_ref().map(|certificate| &certificate.serial)),
    ]);
    if let Some(certificate) = &node.certificate {
        table.add_rows([
            property("  VALID FROM", [certificate.not_before]),
            property("  VALID UNTIL", [certificate.not_after]),
            property("  RENEW AFTER", [certificate.renew_after]),
            property("  KEY SHA-256", [&certificate.spki_sha256]),
            property("  AUTHORITY", [&certificate.authority]),
        ]);
    }
    if node.spiffe_id.is_some() {
        table.add_row(property("WORKLOAD", node.spiffe_id.as_deref()));
    }
    if node.sessions.is_some() {
        table.add_row(property("SESSIONS", node.sessions));
    }
    table.add_rows([
        property("LAST SEEN", node.last_seen),
        property("REGISTERED", [format!("{} by {}", node.registered_at, node.registered_by)]),
        property("LABELS", node.labels.iter().map(|(key, value)| format!("{key}={value}"))),
        property("VERSION", [node.version]),
    ]);
    text(table)
}

/// What was changed, then who has applied that, and who has not as far as could be seen.
pub fn of_spread(changed: &str, spread: &Spread) -> String {
    let mut lines = vec![changed.to_owned(), String::new()];
    if !spread.applied.is_empty() {
        let applied: Vec<_> = spread.applied.iter().map(|journal_id| printable(journal_id)).collect();
        lines.push(format!("applied by {} (fact {})", applied.join(", "), spread.seq));
    }
    for lagging in &spread.lagging {
        let (journal_id, message) = (printable(&lagging.journal_id), printable(&lagging.message));
        lines.push(format!("not by {journal_id}: {message}"));
    }
    lines.join("\n")
}

/// What became of a batch: how many rows, and the ones that failed.
pub fn of_batch(report: &Report) -> String {
    let mut counts = Table::new();
    counts.add_rows([
        property("REGISTERED", [report.registered]),
        property("UNCHANGED", [report.unchanged]),
        property("FAILED", [report.failed]),
    ]);
    let heading = report.is_dry_run.then(|| "dry run: nothing was recorded".to_owned());
    let mut parts: Vec<String> = heading.into_iter().chain([text(counts)]).collect();
    let mut faults = Table::new();
    faults.set_header(["LINE", "NODE", "REASON", "MESSAGE"]);
    for (row, fault) in report.faults().take(FAULTS_SHOWN_MAX) {
        let node_id = row.node_id.as_deref().filter(|name| !name.is_empty());
        faults.add_row([
            row.line.to_string(),
            shown(node_id),
            printable(&fault.reason),
            printable(&fault.message),
        ]);
    }
    if !faults.is_empty() {
        parts.push(String::new());
        parts.push(text(faults));
    }
    let more = report.failed.saturating_sub(FAULTS_SHOWN_MAX as u64);
    if more > 0 {
        parts.push(format!("and {more} more; -o json tells them all"));
    }
    parts.join("\n")
}

/// vClusters, one a row; the domain's default last.
pub fn of_vclusters(vclusters: &[VClusterJson], domain_default: Option<&VClusterJson>) -> String {
    let mut table = Table::new();
    table.set_header(["VCLUSTER", "REVISION", "NODES", "SIZE", "OVERLAY SHA-256", "SET AT", "SET BY"]);
    for one in vclusters.iter().chain(domain_default) {
        table.add_row([
            vcluster_name(one),
            one.revision.to_string(),
            one.nodes.to_string(),
            one.overlay_size.to_string(),
            one.overlay_sha256.to_string().chars().take(12).collect(),
            one.set_at.to_string(),
            printable(&one.set_by),
        ]);
    }
    if table.is_empty() { "no vClusters".to_owned() } else { text(table) }
}

/// Operators, one a row.
pub fn of_operators(operators: &[OperatorJson]) -> String {
    let mut table = Table::new();
    table.set_header(["OPERATOR", "ROLE", "STATE", "CERTIFICATE UNTIL"]);
    for operator in operators {
        table.add_row([
            printable(&operator.operator_id),
            printable(&operator.role),
            operator.state.to_owned(),
            shown(operator.certificate.as_ref().map(|certificate| certificate.not_after)),
        ]);
    }
    text(table)
}

/// Authorities, one a row.
pub fn of_authorities(authorities: &[AuthorityJson]) -> String {
    let mut table = Table::new();
    table.set_header(["AUTHORITY", "GENERATION", "JOURNAL", "VALID UNTIL", "STATE"]);
    for authority in authorities {
        table.add_row([
            printable(&authority.id),
            authority.generation.to_string(),
            printable(&authority.journal_id),
            authority.not_after.to_string(),
            if authority.retired { "retired" } else { "live" }.to_owned(),
        ]);
    }
    text(table)
}

/// Journals, one a row.
pub fn of_members(members: &[MemberJson]) -> String {
    let mut table = Table::new();
    table.set_header([
        "JOURNAL",
        "RAFT ID",
        "STANDING",
        "LEADER",
        "CLUSTER",
        "APPLIED",
        "LAG",
        "HEARD",
        "CERTIFICATE UNTIL",
        "VERSION",
        "LEVEL",
    ]);
    for member in members {
        table.add_row([
            printable(&member.journal_id),
            member.raft_id.to_string(),
            printable(&member.standing),
            if member.leader { "yes" } else { NONE }.to_owned(),
            shown(member.cluster.as_deref()),
            shown(member.applied_seq),
            shown(member.lag),
            shown(member.last_heard_ms.map(|ago| format!("{ago} ms ago"))),
            shown(member.certificate_not_after),
            shown(member.version.as_deref()),
            shown(member.format_level),
        ]);
    }
    text(table)
}

/// A new join token, one property a row.
pub fn of_join_token(token: &JoinTokenJson) -> String {
    let mut table = Table::new();
    table.add_rows([
        property("TOKEN", [&token.token]),
        property("TOKEN ID", [&token.token_id]),
        property("EXPIRES", [token.expires_at]),
    ]);
    text(table)
}

/// The domain, one property a row, and what needs a look.
pub fn of_status(status: &StatusJson) -> String {
    let counts = status.nodes;
    let mut table = Table::new();
    table.add_rows([
        property("DOMAIN", [&status.domain_id]),
        property("LEADER", &status.leader),
        property("JOURNALS", &status.journals),
        property("REGISTERED", [counts.registered]),
        property("ACTIVE", [counts.active]),
        property("INACTIVE", [counts.inactive]),
        property("REVOKED", [counts.revoked]),
        property("LAST FACT", [status.last_seq]),
        property("AUTHORITIES", [status.authorities]),
        property("WARNINGS", &status.warnings),
    ]);
    text(table)
}

/// One vCluster, one property a row.
pub fn of_vcluster(vcluster: &VClusterJson) -> String {
    let mut table = Table::new();
    table.add_rows([
        property("VCLUSTER", [vcluster_name(vcluster)]),
        property("REVISION", [vcluster.revision]),
        property("OVERLAY SHA-256", [vcluster.overlay_sha256]),
        property("OVERLAY SIZE", [format!("{} bytes", vcluster.overlay_size)]),
        property("NODES", [vcluster.nodes]),
        property("SET", [format!("{} by {}", vcluster.set_at, vcluster.set_by)]),
    ]);
    text(table)
}

fn vcluster_name(vcluster: &VClusterJson) -> String {
    printable(vcluster.vcluster.as_deref().unwrap_or(DOMAIN_DEFAULT))
}

/// A row of two cells. Several values stand one below the other.
fn property(name: &str, values: impl IntoIterator<Item: ToString>) -> [String; 2] {
    let values: Vec<String> = values.into_iter().map(|value| printable(&value.to_string())).collect();
    [name.to_owned(), if values.is_empty() { NONE.to_owned() } else { values.join("\n") }]
}

/// The state, with all that is unusual about it.
fn state(node: &NodeJson) -> String {
    let unconfirmed = node.certificate.is_some() && !node.confirmed;
    let remarks: Vec<&str> =
        [(unconfirmed, "unconfirmed"), (node.contested, "contested"), (node.draining, "draining")]
            .into_iter()
            .filter_map(|(is_so, remark)| is_so.then_some(remark))
            .collect();
    if remarks.is_empty() {
        node.state.to_owned()
    } else {
        format!("{} ({})", node.state, remarks.join(", "))
    }
}

fn vcluster(node: &NodeJson) -> &str {
    node.vcluster.as_deref().unwrap_or("maintenance")
}

fn first_mac(node: &NodeJson) -> String {
    match node.hardware.macs.as_slice() {
        [] => NONE.to_owned(),
        [only] => printable(only),
        [first, more @ ..] => format!("{} (+{})", printable(first), more.len()),
    }
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| printable(&value.to_string()))
}

/// The text with its control characters written out.
pub fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() { plain.extend(letter.escape_default()) } else { plain.push(letter) }
    }
    plain
}

fn text(mut table: Table) -> String {
    table.load_style(presets::NOTHING);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use events::vocabulary::{Digest, Timestamp};
    use proto::node_json::{CertificateJson, HardwareJson};

    use super::*;
    use crate::node::batch::{Fault, Row};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn registered(node_id: &str) -> NodeJson {
        NodeJson {
            node_id: node_id.to_owned(),
            domain_id: "alps".to_owned(),
            state: "registered",
            confirmed: false,
            epoch: 1,
            contested: false,
            draining: false,
            vcluster: None,
            hardware: HardwareJson {
                macs: vec!["aa:bb:cc:dd:ee:01".to_owned(), "aa:bb:cc:dd:ee:02".to_owned()],
                bmc_serial: Some("SN1".to_owned()),
                uuid: None,
            },
            assurance: None,
            certificate: None,
            last_seen: None,
            registered_at: at("2026-01-31T12:00:00Z"),
            registered_by: "operator:admin".to_owned(),
            labels: BTreeMap::from([
                ("rack".to_owned(), "r12".to_owned()),
                ("row".to_owned(), "3".to_owned()),
            ]),
            version: 1,
            sessions: None,
            spiffe_id: None,
        }
    }

    fn active(node_id: &str) -> NodeJson {
        let mut node = registered(node_id);
        node.state = "active";
        node.hardware.macs.truncate(1);
        node.assurance = Some("claimed");
        node.last_seen = Some(at("2026-01-31T12:00:02Z"));
        node.certificate = Some(CertificateJson {
            serial: "4f".repeat(16),
            spki_sha256: "ab".repeat(32),
            not_before: at("2026-01-31T11:55:00Z"),
            not_after: at("2026-02-03T12:00:00Z"),
            renew_after: at("2026-02-02T12:00:00Z"),
            authority: "01J".to_owned(),
        });
        node
    }

    #[test]
    fn nodes_stand_one_a_row_under_their_columns() {
        let shown = of_nodes(&[registered("n1"), active("compute-042")]);
        let expected = "\
NODE         STATE                 VCLUSTER     MAC                     CERTIFICATE UNTIL         LAST SEEN
n1           registered            maintenance  aa:bb:cc:dd:ee:01 (+1)  -                         -
compute-042  active (unconfirmed)  maintenance  aa:bb:cc:dd:ee:01       2026-02-03T12:00:00.000Z  2026-01-31T12:00:02.000Z";
        assert_eq!(shown, expected);
    }

    #[test]
    fn no_nodes_are_told_in_words() {
        assert_eq!(of_nodes(&[]), "no nodes");
    }

    #[test]
    fn a_registered_node_shows_what_it_must_present() {
        let expected = "\
NODE         n1
DOMAIN       alps
STATE        registered
EPOCH        1
VCLUSTER     maintenance
MAC          aa:bb:cc:dd:ee:01
             aa:bb:cc:dd:ee:02
BMC SERIAL   SN1
UUID         -
ASSURANCE    -
CERTIFICATE  -
LAST SEEN    -
REGISTERED   2026-01-31T12:00:00.000Z by operator:admin
LABELS       rack=r12
             row=3
VERSION      1";
        assert_eq!(of_node(&registered("n1")), expected);
    }

    #[test]
    fn an_active_node_shows_its_certificate() {
        let shown = of_node(&active("n1"));
        for line in [
            format!("CERTIFICATE    {}", "4f".repeat(16)),
            "  VALID UNTIL  2026-02-03T12:00:00.000Z".to_owned(),
            format!("  KEY SHA-256  {}", "ab".repeat(32)),
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
        }
    }

    fn vcluster(name: Option<&str>) -> VClusterJson {
        VClusterJson {
            vcluster: name.map(str::to_owned),
            revision: 42,
            overlay_sha256: Digest::new([0xab; 32]),
            overlay_size: 7,
            set_at: at("2026-01-31T12:00:00Z"),
            set_by: "operator:admin".to_owned(),
            nodes: 3,
        }
    }

    #[test]
    fn vclusters_stand_one_a_row_and_the_default_last() {
        let shown = of_vclusters(&[vcluster(Some("prod"))], Some(&vcluster(None)));
        let expected = "\
VCLUSTER          REVISION  NODES  SIZE  OVERLAY SHA-256  SET AT                    SET BY
prod              42        3      7     abababababab     2026-01-31T12:00:00.000Z  operator:admin
(domain default)  42        3      7     abababababab     2026-01-31T12:00:00.000Z  operator:admin";
        assert_eq!(shown, expected);
        assert_eq!(of_vclusters(&[], None), "no vClusters");
    }

    #[test]
    fn a_vcluster_shows_what_it_is_configured_by() {
        let expected = format!(
            "VCLUSTER         prod\nREVISION         42\nOVERLAY SHA-256  {}\nOVERLAY SIZE     7 bytes\n\
             NODES            3\nSET              2026-01-31T12:00:00.000Z by operator:admin",
            "ab".repeat(32)
        );
        assert_eq!(of_vcluster(&vcluster(Some("prod"))), expected);
    }

    fn failed(line: u64, message: &str) -> Row {
        let fault = Fault { reason: "HARDWARE_INVALID".to_owned(), message: message.to_owned() };
        Row { line, node_id: Some("n1".into()), fault: Some(Box::new(fault)) }
    }

    #[test]
    fn a_batch_shows_its_counts_and_the_rows_that_failed() {
        let mut report = Report { registered: 7, unchanged: 2, is_dry_run: true, ..Report::default() };
        report.fail(failed(3, "no MAC"));
        let expected = "\
dry run: nothing was recorded
REGISTERED  7
UNCHANGED   2
FAILED      1

LINE  NODE  REASON            MESSAGE
3     n1    HARDWARE_INVALID  no MAC";
        assert_eq!(of_batch(&report), expected);
        let sound = Report { registered: 7, ..Report::default() };
        assert_eq!(of_batch(&sound), "REGISTERED  7\nUNCHANGED   0\nFAILED      0");
    }

    #[test]
    fn of_many_failed_rows_some_are_shown_and_all_are_counted() {
        let mut report = Report::default();
        (0..FAULTS_SHOWN_MAX as u64 + 5).for_each(|line| report.fail(failed(line, "")));
        let shown = of_batch(&report);
        assert_eq!(shown.matches("HARDWARE_INVALID").count(), FAULTS_SHOWN_MAX);
        assert!(shown.ends_with("and 5 more; -o json tells them all"), "{shown}");
    }

    #[test]
    fn all_that_is_unusual_stands_beside_the_state() {
        let mut node = active("n1");
        (node.confirmed, node.contested, node.draining) = (true, true, true);
        assert_eq!(state(&node), "active (contested, draining)");
        (node.contested, node.draining) = (false, false);
        assert_eq!(state(&node), "active");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut node = registered("n1");
        node.hardware.bmc_serial = Some("\u{1b}[2Jgone\u{9b}31m".to_owned());
        node.hardware.macs = vec!["\u{7}".to_owned()];
        node.vcluster = Some("\t".to_owned());
        let mut evil = vcluster(Some("\u{1b}[2J"));
        evil.set_by = "\u{7}".to_owned();
        let mut report = Report::default();
        report.fail(Row { node_id: Some("\u{1b}]0;".into()), ..failed(2, "\u{9b}31m") });
        let tables = [
            of_node(&node),
            of_nodes(&[node]),
            of_vcluster(&evil),
            of_vclusters(&[evil], None),
            of_batch(&report),
        ];
        for shown in tables {
            assert!(!shown.chars().any(|letter| letter.is_control() && letter != '\n'), "{shown:?}");
        }
    }
}
