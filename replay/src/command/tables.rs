//! Results for people: lines and aligned tables.

use serde_json::Value;

use crate::against::{Comparison, Side};
use crate::diff::{Changes, Diff};
use crate::explain::{Explanation, Fate, Opens};
use crate::fact_text;
use crate::point::Mark;
use crate::state::{Part, State};
use crate::told::Told;
use crate::verify::Report;
use events::fact_json;

/// What a verification found.
pub(super) fn report_lines(report: &Report) -> String {
    let head = report.head.map_or_else(|| "none".to_owned(), |head| head.to_string());
    let mut lines = format!(
        "facts       {}\nhead        {head}\nseconds     {:.3}\nviolations  {}\n",
        report.facts,
        report.seconds(),
        report.violation_count,
    );
    if let Some(against) = &report.against {
        lines.push_str(&against_lines(against));
    }
    for violation in &report.violations {
        lines.push_str(&format!("{violation}\n"));
    }
    lines.push_str(if report.ok() { "log verified\n" } else { "log not sound\n" });
    lines
}

/// Where two logs part, and whose is longer.
fn against_lines(against: &Comparison) -> String {
    let Comparison { common, facts, head, longer, parting } = against;
    let head = head.map_or_else(|| "none".to_owned(), |head| head.to_string());
    let parted = parting.map_or_else(|| "nowhere".to_owned(), |parting| format!("at fact {}", parting.seq));
    let longer = match longer {
        None => "both are of one length",
        Some(Side::Log) => "this one is longer",
        Some(Side::Against) => "the other one is longer",
    };
    format!("against     {facts} facts, head {head}\ncommon      {common}, {longer}\nthey part   {parted}\n")
}

/// A line a fact.
pub(super) fn history_lines(told: &[Told]) -> String {
    let row = |told: &Told| {
        let record = &told.record;
        let (time, kind) = (record.recorded_at.to_string(), fact_json::type_name(&record.fact));
        let what = fact_text::what(record, &told.remarks);
        [time, record.seq.to_string(), kind, what, record.principal.to_string()]
    };
    let header = ["TIME", "SEQ", "TYPE", "WHAT", "WHO"].map(str::to_owned);
    aligned(&std::iter::once(header).chain(told.iter().map(row)).collect::<Vec<_>>())
}

/// Columns as wide as their widest cell, two spaces between them.
fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A state: its place, and a table of each part that has items.
pub(super) fn state_lines(state: &State) -> String {
    let (_, digest) = state.document();
    let views = &state.views;
    let mut lines = format!(
        "seq          {}\nrecorded at  {}\nhead         {}\ndigest       {digest}\n",
        views.seq, views.recorded_at, state.head
    );
    for part in Part::ALL {
        let items: Vec<Value> = state.items(part).map(|(_, item)| item).collect();
        if !items.is_empty() {
            lines.push_str(&format!("\n{}", part_lines(part, &items)));
        }
    }
    lines
}

fn part_lines(part: Part, items: &[Value]) -> String {
    match part {
        Part::Authorities => {
            columns(items, ["id", "journal_id", "generation", "not_after", "retired"], "AUTHORITY")
        }
        Part::Members => {
            columns(items, ["journal_id", "raft_id", "standing", "cluster", "agent", "operator"], "JOURNAL")
        }
        Part::Nodes => columns(
            items,
            [
                "node_id",
                "state",
                "confirmed",
                "vcluster",
                "epoch",
                "certificate.serial",
                "certificate.not_after",
            ],
            "NODE",
        ),
        Part::Revocations => {
            columns(items, ["serial", "holder", "revoked_at", "not_after", "seq"], "REVOKED SERIAL")
        }
        Part::Tokens => columns(items, ["token_id"], "TOKEN"),
        Part::VClusters => columns(
            items,
            ["vcluster", "revision", "overlay_size", "overlay_sha256", "set_at", "set_by", "nodes"],
            "VCLUSTER",
        ),
    }
}

/// A table of these fields; the first column has a title of its own.
fn columns<const COLUMNS: usize>(items: &[Value], fields: [&str; COLUMNS], title: &str) -> String {
    let mut header = fields.map(|field| field.replace(['.', '_'], " ").to_uppercase());
    header[0] = title.to_owned();
    let row = |item: &Value| fields.map(|field| cell(item.pointer(&format!("/{}", field.replace('.', "/")))));
    aligned(&std::iter::once(header).chain(items.iter().map(row)).collect::<Vec<_>>())
}

/// What changed, a line an item or field: `+` came, `-` went, `~` is another.
pub(super) fn diff_lines(diff: &Diff) -> String {
    let mark = |name: &str, mark: &Mark| {
        format!("{name}  {} at {}, head {}\n", mark.seq, mark.recorded_at, mark.head)
    };
    let mut lines = mark("from", &diff.from) + &mark("to  ", &diff.to);
    if diff.is_empty() {
        lines.push_str("\nnothing changed\n");
    }
    for (part, changes) in diff.parts.iter().filter(|(_, changes)| *changes != Changes::default()) {
        lines.push_str(&format!("\n{}\n", part.name()));
        changes.added.iter().for_each(|item| lines.push_str(&format!("  + {}\n", brief(*part, item))));
        changes.removed.iter().for_each(|item| lines.push_str(&format!("  - {}\n", brief(*part, item))));
        for item in &changes.changed {
            lines.push_str(&format!("  ~ {}\n", name(*part, Some(&item.name))));
            for field in &item.fields {
                let (from, to) = (cell(Some(&field.from)), cell(Some(&field.to)));
                lines.push_str(&format!("      {}: {from} -> {to}\n", field.field));
            }
        }
    }
    lines
}

fn name(part: Part, name: Option<&Value>) -> String {
    match name {
        Some(Value::Null) if part == Part::VClusters => "(the domain's default)".to_owned(),
        name => cell(name),
    }
}

fn brief(part: Part, item: &Value) -> String {
    let more = match part {
        Part::Nodes => item["state"].as_str().map(str::to_owned),
        Part::Revocations => item["holder"].as_str().map(str::to_owned),
        Part::Authorities => item["journal_id"].as_str().map(str::to_owned),
        Part::VClusters => item["overlay_sha256"].as_str().map(str::to_owned),
        Part::Members => item["standing"].as_str().map(str::to_owned),
        Part::Tokens => None,
    };
    let name = name(part, item.get(part.key()));
    more.map_or_else(|| name.clone(), |more| format!("{name} ({more})"))
}

/// All about one fact: in words, then every field, then what became of its certificates.
pub(super) fn explanation_lines(explained: &Explanation) -> String {
    let told = &explained.told;
    let fact = fact_json::to_json(&told.record, &told.remarks, &told.chain);
    let mut lines = format!("{}\n\n", explained.sentence);
    let mut rows = vec![];
    fields("", &fact, &mut rows);
    // The certificate's bytes come as text below.
    rows.retain(|[field, _]| field != "der");
    lines.push_str(&aligned(&rows));
    if !explained.certificates.is_empty() {
        let Mark { seq, recorded_at: at, .. } = explained.end;
        lines.push_str(&format!("\nAt the end of the log, fact {seq} of {at}:\n"));
        explained.certificates.iter().for_each(|fate| lines.push_str(&fate_line(fate)));
    }
    if let Some(pem) = &explained.certificate_pem {
        lines.push_str(&format!("\n{pem}"));
    }
    lines
}

/// Every field with its path, such as `certificate.serial`.
fn fields(path: &str, value: &Value, rows: &mut Vec<[String; 2]>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                fields(&path, value, rows);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            rows.push([path.to_owned(), cell(Some(value))]);
        }
    }
}

fn fate_line(fate: &Fate) -> String {
    let opens = match &fate.opens {
        Opens::Until(until) => format!("opens what {} may, until {until}", fate.holder),
        Opens::NotSince { since, by: Some(by), because } => {
            format!("opens nothing since {since}, by fact {by} ({because})")
        }
        Opens::NotSince { since, by: None, because } => format!("opens nothing since {since} ({because})"),
        Opens::Never => "is an authority's: it signs, and opens nothing itself".to_owned(),
    };
    format!("  certificate {} of {}, from fact {}, {opens}\n", fate.serial, fate.holder, fate.issued_seq)
}

/// A value in a table: text as it is, nothing as a dash.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}
