//! What changed in the views between two points of a log.
//!
//! `pact-replay diff` prints it. It compares what [`crate::state`] shows, item by item and field by field.
//!
//! Not here, on purpose: which facts did it. `export --from --to` and `history` tell them.
//!
//! **Invariant:** nothing changed if and only if both points show the same items.

use std::iter::Peekable;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::point::{Mark, Point, PointError};
use crate::reader::Reader;
use crate::state::{Course, Part, StateError};
use crate::told::TellError;

/// The parts that are compared.
pub const COMPARED: [Part; 5] =
    [Part::Nodes, Part::Revocations, Part::Authorities, Part::VClusters, Part::Members];

/// See the module.
#[derive(Debug, Clone)]
pub struct Diff {
    /// Where the first point is.
    pub from: Mark,
    /// Where the second is.
    pub to: Mark,
    /// What changed in each of [`COMPARED`].
    pub parts: Vec<(Part, Changes)>,
}

/// What changed in one part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Items of the second point only.
    pub added: Vec<Value>,
    /// Items of both.
    pub changed: Vec<Changed>,
    /// Items of the first point only.
    pub removed: Vec<Value>,
}

/// An item that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// Its name, null for the domain's default among the vClusters.
    pub name: Value,
    /// The fields that are not as they were. Never empty.
    pub fields: Vec<Field>,
}

/// A field that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name; one inside another is written `certificate.serial`.
    pub field: String,
    /// What it was.
    pub from: Value,
    /// What it became.
    pub to: Value,
}

/// Compares two points.
///
/// # Errors
/// If the log has no such points, they are the wrong way round, or the log is not sound up to the second.
pub fn diff(data_dir: &Path, from: Point, to: Point) -> Result<Diff, StateError> {
    if from.is_behind(to) {
        return Err(PointError::Reversed.into());
    }
    let reader = Reader::open(data_dir).map_err(TellError::from)?;
    let mut course = Course::of(&reader);
    course.go_to(Some(from))?;
    let before = course.state.clone();
    course.go_to(Some(to))?;
    let after = course.state;
    let parts = COMPARED.map(|part| (part, compare(part.key(), before.items(part), after.items(part))));
    Ok(Diff { from: before.mark(), to: after.mark(), parts: parts.into() })
}

/// Walks two lists that are sorted by name.
fn compare(
    key: &str,
    before: impl Iterator<Item = (String, Value)>,
    after: impl Iterator<Item = (String, Value)>,
) -> Changes {
    let (mut before, mut after) = (before.peekable(), after.peekable());
    let mut changes = Changes::default();
    while let Some(name) = earliest(&mut before, &mut after) {
        let is_it = |item: &(String, Value)| item.0 == name;
        match (before.next_if(is_it), after.next_if(is_it)) {
            (None, Some((_, item))) => changes.added.push(item),
            (Some((_, item)), None) => changes.removed.push(item),
            (Some((_, old)), Some((_, new))) => changes.changed.extend(changed(key, &old, &new)),
            // The name is that of one of them.
            (None, None) => break,
        }
    }
    changes
}

fn earliest<I: Iterator<Item = (String, Value)>, J: Iterator<Item = (String, Value)>>(
    one: &mut Peekable<I>,
    other: &mut Peekable<J>,
) -> Option<String> {
    let names = [one.peek().map(|item| &item.0), other.peek().map(|item| &item.0)];
    names.into_iter().flatten().min().cloned()
}

fn changed(key: &str, old: &Value, new: &Value) -> Option<Changed> {
    let mut fields = vec![];
    compare_field("", old, new, &mut fields);
    (!fields.is_empty()).then(|| Changed { name: new[key].clone(), fields })
}

/// Looks into objects, and at anything else as a whole.
fn compare_field(field: &str, old: &Value, new: &Value, found: &mut Vec<Field>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for name in names(old, new) {
                let inner = if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
                let of = |object: &Map<String, Value>| object.get(name).cloned().unwrap_or_default();
                compare_field(&inner, &of(old), &of(new), found);
            }
        }
        (old, new) if old != new => {
            found.push(Field { field: field.to_owned(), from: old.clone(), to: new.clone() });
        }
        (_, _) => {}
    }
}

/// The names of either, each once, sorted.
fn names<'a>(one: &'a Map<String, Value>, other: &'a Map<String, Value>) -> Vec<&'a String> {
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Diff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|(_, changes)| *changes == Changes::default())
    }

    /// As `diff -o json` prints it.
    pub fn to_json(&self) -> Value {
        let mut document = json!({"from": self.from.to_json(), "to": self.to.to_json()});
        for (part, changes) in &self.parts {
            document[part.name()] = changes.to_json(part.key());
        }
        document
    }
}

impl Changes {
    fn to_json(&self, key: &str) -> Value {
        let field = |one: &Field| json!({"field": one.field, "from": one.from, "to": one.to});
        let changed = |item: &Changed| {
            let fields: Vec<Value> = item.fields.iter().map(field).collect();
            json!({key: item.name, "changes": fields})
        };
        let changed: Vec<Value> = self.changed.iter().map(changed).collect();
        json!({"added": self.added, "changed": changed, "removed": self.removed})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(items: &[Value]) -> impl Iterator<Item = (String, Value)> {
        items.iter().map(|item| (item["id"].as_str().unwrap_or_default().to_owned(), item.clone()))
    }

    fn check(before: &[Value], after: &[Value], expected: Value) {
        assert_eq!(compare("id", items(before), items(after)).to_json("id"), expected);
    }

    #[test]
    fn equal_lists_have_no_changes() {
        let same = [json!({"id": "a", "x": {"y": 1}})];
        check(&same, &same, json!({"added": [], "changed": [], "removed": []}));
        check(&[], &[], json!({"added": [], "changed": [], "removed": []}));
    }

    #[test]
    fn items_of_one_list_only_are_added_or_removed() {
        let (a, b, c) = (json!({"id": "a"}), json!({"id": "b"}), json!({"id": "c"}));
        check(&[a.clone(), b.clone()], &[b, c.clone()], json!({"added": [c], "changed": [], "removed": [a]}));
    }

    #[test]
    fn a_changed_field_is_told_by_its_path() {
        let old = json!({"id": "a", "state": "registered", "certificate": null, "hardware": {"macs": ["1"], "uuid": null}});
        let new = json!({"id": "a", "state": "active", "certificate": {"serial": "4f"}, "hardware": {"macs": ["2"], "uuid": null}});
        let changes = json!([
            {"field": "certificate", "from": null, "to": {"serial": "4f"}},
            {"field": "hardware.macs", "from": ["1"], "to": ["2"]},
            {"field": "state", "from": "registered", "to": "active"},
        ]);
        check(
            &[old],
            &[new],
            json!({"added": [], "changed": [{"id": "a", "changes": changes}], "removed": []}),
        );
    }

    #[test]
    fn the_item_without_a_name_is_compared_too() {
        let (old, new) = (json!({"id": null, "revision": 3}), json!({"id": null, "revision": 9}));
        let changes = json!([{"field": "revision", "from": 3, "to": 9}]);
        check(
            &[old],
            &[new],
            json!({"added": [], "changed": [{"id": null, "changes": changes}], "removed": []}),
        );
    }
}
