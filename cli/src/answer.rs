//! What a verb found out or changed, and how it is printed: a table for people, JSON for scripts.
//!
//! Verbs make an [`Answer`], `main` prints it.
//!
//! Not here, on purpose: failures (`proto::outcome`) and the look of tables ([`crate::table`]).
//!
//! **Invariant:** with `-o json`, one JSON document on one line, and nothing else.

use std::io::{self, BufWriter, ErrorKind, Write};

use clap::ValueEnum;
use proto::{
    node_json::{NodeJson, UnreadableNode},
    outcome::Failure,
    pb,
    vcluster_json::{UnreadableVCluster, VClusterJson},
};
use serde::Serialize;

use crate::{
    journal::{JoinTokenJson, MemberJson},
    node::batch::{Report, Warning},
    operator::OperatorJson,
    spread::Spread,
    status::{AuthorityJson, StatusJson},
    table,
};

/// A cluster of blades has one for each: a person reads some.
const WARNINGS_SHOWN: usize = 10;

/// The form of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Table,
    /// For scripts
    Json,
}

/// What a verb prints. As JSON it is the thing itself, without a frame.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// The node that was looked at or changed.
    Node(Box<NodeJson>),
    /// The node that was changed, and what is unusual about it.
    Changed {
        /// The node.
        #[serde(flatten)]
        node: Box<NodeJson>,
        /// Sentences of the journal. Absent if there are none, as of every other answer about a node.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// A node that was revoked, and which journals have applied that.
    SpreadNode {
        /// The node.
        #[serde(flatten)]
        node: Box<NodeJson>,
        /// The journals.
        wait: Spread,
    },
    /// Nodes in the order of their names.
    Nodes {
        /// The nodes.
        nodes: Vec<NodeJson>,
        /// The log's last fact that they show.
        seq: u64,
    },
    /// What became of a batch of nodes.
    Batch(Report),
    /// The vCluster that was looked at or changed.
    VCluster(Box<VClusterJson>),
    /// vClusters in the order of their names.
    VClusters {
        /// The vClusters.
        vclusters: Vec<VClusterJson>,
        /// What the nodes in none are configured by. None if there is none, or the caller may not see it.
        domain_default: Option<Box<VClusterJson>>,
        /// The log's last fact that they show.
        seq: u64,
    },
    /// The operator that was looked at or changed.
    Operator(Box<OperatorJson>),
    /// Operators in the order of their names.
    Operators {
        /// The operators.
        operators: Vec<OperatorJson>,
        /// The log's last fact that they show.
        seq: u64,
    },
    /// The journal that was changed.
    Member(Box<MemberJson>),
    /// Journals in the order of their names.
    Members {
        /// The journals.
        members: Vec<MemberJson>,
        /// The log's last fact that they show.
        seq: u64,
    },
    /// A new join token: the only place where it is ever shown.
    JoinToken(Box<JoinTokenJson>),
    /// How the domain is.
    Status(Box<StatusJson>),
    /// Authorities in the order of their ids, which is that of their announcement.
    Authorities {
        /// The authorities.
        authorities: Vec<AuthorityJson>,
        /// The log's last fact that they show.
        seq: u64,
    },
    /// All was printed on the way.
    #[serde(skip)]
    Printed,
    /// An overlay, printed as it is in any form of output.
    #[serde(skip)]
    Bytes(Vec<u8>),
}

impl Answer {
    /// Reads the node of a journal's answer.
    ///
    /// # Errors
    /// If there is none, or this release cannot read it.
    pub fn of_node(node: Option<pb::Node>) -> Result<Self, Failure> {
        let node = node.ok_or_else(|| Failure::other("the journal's answer holds no node"))?;
        Ok(Self::Node(Box::new(readable(node)?)))
    }

    /// Reads the node of a journal's answer that has warnings.
    ///
    /// # Errors
    /// If there is no node, or this release cannot read it.
    pub fn of_changed(node: Option<pb::Node>, warnings: Vec<String>) -> Result<Self, Failure> {
        let node = node.ok_or_else(|| Failure::other("the journal's answer holds no node"))?;
        Ok(Self::Changed { node: Box::new(readable(node)?), warnings })
    }

    /// Reads the node of a journal's answer, and says who has applied that.
    ///
    /// # Errors
    /// As [`Answer::of_node`].
    pub fn of_spread_node(node: Option<pb::Node>, wait: Spread) -> Result<Self, Failure> {
        let node = node.ok_or_else(|| Failure::other("the journal's answer holds no node"))?;
        Ok(Self::SpreadNode { node: Box::new(readable(node)?), wait })
    }

    /// Reads the nodes of a journal's answer.
    ///
    /// # Errors
    /// If this release cannot read one of them.
    pub fn of_nodes(nodes: Vec<pb::Node>, seq: u64) -> Result<Self, Failure> {
        let nodes = nodes.into_iter().map(readable).collect::<Result<_, _>>()?;
        Ok(Self::Nodes { nodes, seq })
    }

    /// Reads the vCluster of a journal's answer.
    ///
    /// # Errors
    /// If there is none, or this release cannot read it.
    pub fn of_vcluster(wire: Option<pb::VCluster>) -> Result<Self, Failure> {
        Ok(Self::VCluster(Box::new(vcluster(wire)?)))
    }

    /// Reads the vClusters of a journal's answer.
    ///
    /// # Errors
    /// If this release cannot read one of them.
    pub fn of_vclusters(answer: pb::ListVClustersResponse) -> Result<Self, Failure> {
        let read = |wire| vcluster(Some(wire));
        Ok(Self::VClusters {
            vclusters: answer.vclusters.into_iter().map(read).collect::<Result<_, _>>()?,
            domain_default: answer.domain_default.map(read).transpose()?.map(Box::new),
            seq: answer.seq,
        })
    }

    /// What is wrong although there is an answer to print.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Batch(report) => report.failure(),
            Self::SpreadNode { wait, .. } => wait.failure("the revocation"),
            Self::Node(_)
            | Self::Changed { .. }
            | Self::Nodes { .. }
            | Self::VCluster(_)
            | Self::VClusters { .. }
            | Self::Operator(_)
            | Self::Operators { .. }
            | Self::Member(_)
            | Self::Members { .. }
            | Self::JoinToken(_)
            | Self::Status(_)
            | Self::Authorities { .. }
            | Self::Printed
            | Self::Bytes(_) => None,
        }
    }

    /// Tells people on stderr what is unusual and allowed.
    pub fn warn(&self) {
        // Nobody is left to tell if stderr is closed.
        self.write_warnings(&mut io::stderr().lock()).ok();
    }

    fn write_warnings(&self, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Changed { warnings, .. } => {
                warnings.iter().try_for_each(|warning| writeln!(to, "warning: {}", table::printable(warning)))
            }
            Self::Batch(report) => {
                for Warning { line, message, .. } in report.warnings.iter().take(WARNINGS_SHOWN) {
                    writeln!(to, "warning: line {line}: {}", table::printable(message))?;
                }
                match report.warned.saturating_sub(WARNINGS_SHOWN as u64) {
                    0 => Ok(()),
                    more => writeln!(to, "warning: and {more} more like these"),
                }
            }
            Self::Node(_)
            | Self::SpreadNode { .. }
            | Self::Nodes { .. }
            | Self::VCluster(_)
            | Self::VClusters { .. }
            | Self::Operator(_)
            | Self::Operators { .. }
            | Self::Member(_)
            | Self::Members { .. }
            | Self::JoinToken(_)
            | Self::Status(_)
            | Self::Authorities { .. }
            | Self::Printed
            | Self::Bytes(_) => Ok(()),
        }
    }

    /// Prints to stdout.
    ///
    /// # Errors
    /// If stdout cannot be written. A reader that has seen enough (`pact node list | head`) is no error.
    pub fn print(&self, output: Output) -> Result<(), Failure> {
        match self.write(output, &mut BufWriter::new(io::stdout().lock())) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::other(format!("the answer could not be printed: {error}")))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn write(&self, output: Output, to: &mut dyn Write) -> io::Result<()> {
        if let Self::Printed = self {
            return Ok(());
        }
        if let Self::Bytes(bytes) = self {
            to.write_all(bytes)?;
            return to.flush();
        }
        match output {
            Output::Json => serde_json::to_writer(&mut *to, self)?,
            Output::Table => to.write_all(self.table().as_bytes())?,
        }
        writeln!(to)?;
        to.flush()
    }

    fn table(&self) -> String {
        match self {
            Self::Node(node) | Self::Changed { node, .. } => table::of_node(node),
            Self::SpreadNode { node, wait } => table::of_spread(&table::of_node(node), wait),
            Self::Nodes { nodes, .. } => table::of_nodes(nodes),
            Self::Batch(report) => table::of_batch(report),
            Self::VCluster(vcluster) => table::of_vcluster(vcluster),
            Self::VClusters { vclusters, domain_default, .. } => {
                table::of_vclusters(vclusters, domain_default.as_deref())
            }
            Self::Operator(operator) => table::of_operators(std::slice::from_ref(operator)),
            Self::Operators { operators, .. } => table::of_operators(operators),
            Self::Member(member) => table::of_members(std::slice::from_ref(member)),
            Self::Members { members, .. } => table::of_members(members),
            Self::JoinToken(token) => table::of_join_token(token),
            Self::Status(status) => table::of_status(status),
            Self::Authorities { authorities, .. } => table::of_authorities(authorities),
            Self::Printed => String::new(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

/// Reads the vCluster of a journal's answer.
///
/// # Errors
/// If there is none, or this release cannot read it.
pub fn vcluster(wire: Option<pb::VCluster>) -> Result<VClusterJson, Failure> {
    let wire = wire.ok_or_else(|| Failure::other("the journal's answer holds no vCluster"))?;
    VClusterJson::try_from(wire).map_err(|error: UnreadableVCluster| Failure::other(error.to_string()))
}

fn readable(node: pb::Node) -> Result<NodeJson, Failure> {
    NodeJson::try_from(node).map_err(|error: UnreadableNode| Failure::other(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proto::convert::batch::RowOutcome;

    use super::*;

    #[test]
    fn a_list_is_framed_with_its_seq() {
        let mut printed = Vec::new();
        Answer::Nodes { nodes: vec![], seq: 7 }.write(Output::Json, &mut printed).unwrap();
        assert_eq!(printed, b"{\"nodes\":[],\"seq\":7}\n");
    }

    fn warned(answer: &Answer) -> String {
        let mut told = Vec::new();
        answer.write_warnings(&mut told).unwrap();
        String::from_utf8(told).unwrap()
    }

    #[test]
    fn rule_02_warnings_stand_on_stderr_and_in_the_document_only_if_there_are_any() {
        let node = pb::Node {
            node_id: "n1".to_owned(),
            domain_id: "alps".to_owned(),
            state: 1,
            ..pb::Node::default()
        };
        let node =
            pb::Node { registered_at: Some(Default::default()), hardware: Some(Default::default()), ..node };
        let document = |answer: &Answer| {
            let mut printed = Vec::new();
            answer.write(Output::Json, &mut printed).unwrap();
            serde_json::from_slice::<serde_json::Value>(&printed).unwrap()
        };
        let plain = Answer::of_node(Some(node.clone())).unwrap();
        let unusual = Answer::of_changed(Some(node.clone()), vec!["n2 has it\u{1b} too".to_owned()]).unwrap();
        assert_eq!(document(&unusual)["warnings"], serde_json::json!(["n2 has it\u{1b} too"]));
        assert_eq!(warned(&unusual).lines().count(), 1);
        assert!(warned(&unusual).starts_with("warning: n2 has it") && !warned(&unusual).contains('\u{1b}'));
        let usual = Answer::of_changed(Some(node), vec![]).unwrap();
        assert_eq!((document(&usual), warned(&usual)), (document(&plain), String::new()));
    }

    #[test]
    fn of_many_warnings_of_a_batch_some_are_shown_and_all_are_counted() {
        let mut report = Report::default();
        for line in 2..15 {
            let row = crate::node::batch::Row { line, node_id: Some("n1".into()), fault: None };
            report.take(row, RowOutcome::Registered { warnings: vec!["shared".to_owned()] });
        }
        let told = warned(&Answer::Batch(report));
        assert!(told.starts_with("warning: line 2: shared\nwarning: line 3: shared\n"), "{told}");
        assert!(told.ends_with("warning: line 11: shared\nwarning: and 3 more like these\n"), "{told}");
    }

    #[test]
    fn an_answer_without_its_node_is_told() {
        let failure = Answer::of_node(None).unwrap_err();
        assert_eq!(failure.to_string(), "the journal's answer holds no node");
    }

    #[test]
    fn a_node_of_a_newer_journal_is_told_by_name() {
        let node = pb::Node { node_id: "n1".to_owned(), state: 99, ..pb::Node::default() };
        let told = Answer::of_node(Some(node)).unwrap_err().to_string();
        assert!(told.contains("node `n1`") && told.contains("state"), "{told}");
    }

    #[test]
    fn a_list_of_vclusters_is_framed_with_the_default_and_its_seq() {
        let mut printed = Vec::new();
        let answer = pb::ListVClustersResponse { seq: 7, ..pb::ListVClustersResponse::default() };
        Answer::of_vclusters(answer).unwrap().write(Output::Json, &mut printed).unwrap();
        assert_eq!(printed, b"{\"vclusters\":[],\"domain_default\":null,\"seq\":7}\n");
    }

    #[test]
    fn an_overlay_is_printed_as_it_is() {
        for output in [Output::Json, Output::Table] {
            let mut printed = Vec::new();
            Answer::Bytes(vec![0, 0x1b, 0xff]).write(output, &mut printed).unwrap();
            assert_eq!(printed, [0, 0x1b, 0xff]);
        }
    }

    /// Takes nothing more.
    struct Closed(ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_reader_is_seen_as_such() {
        let answer = Answer::Nodes { nodes: vec![], seq: 0 };
        for output in [Output::Json, Output::Table] {
            let error = answer.write(output, &mut Closed(ErrorKind::BrokenPipe)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
    }
}
