//! What criterion measured: it leaves `estimates.json` and `benchmark.json` for each bench.
//!
//! **Invariant:** files of an earlier run do not count: only those younger than [`FRESH`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// `make bench` takes minutes.
const FRESH: Duration = Duration::from_secs(3600);

/// One bench.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    nanoseconds: f64,
    elements: Option<u64>,
}

/// All of them, by group and name.
#[derive(Debug, Clone, Default)]
pub struct Estimates(BTreeMap<String, Estimate>);

impl Estimates {
    /// Reads them from criterion's folder. What cannot be read was not measured.
    pub fn read(folder: &Path) -> Self {
        let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
        let found = files.filter(|file| file.path().ends_with("new/estimates.json"));
        Self(found.filter_map(|file| read(file.path())).collect())
    }

    /// These, for a test of what is made of them: name, nanoseconds, elements.
    pub fn of(estimates: &[(&str, f64, Option<u64>)]) -> Self {
        let named = |&(name, nanoseconds, elements): &(&str, f64, Option<u64>)| {
            (name.to_owned(), Estimate { nanoseconds, elements })
        };
        Self(estimates.iter().map(named).collect())
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Estimate)> {
        self.0.iter().map(|(name, estimate)| (name.as_str(), estimate))
    }

    /// Of one bench: elements a second.
    pub fn per_second(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.per_second()
    }

    /// Of one bench: seconds a round.
    pub fn seconds(&self, name: &str) -> Option<f64> {
        Some(self.0.get(name)?.nanoseconds / 1e9)
    }
}

impl Estimate {
    /// The median of a round.
    pub fn nanoseconds(&self) -> f64 {
        self.nanoseconds
    }

    /// Elements a second, if a round has any.
    pub fn per_second(&self) -> Option<f64> {
        Some(self.elements? as f64 * 1e9 / self.nanoseconds)
    }
}

/// Whether a file is of this run; none: there is none.
pub(super) fn is_fresh(file: &Path) -> Option<bool> {
    let age = file.metadata().ok()?.modified().ok()?.elapsed();
    // A file from the future is one of this moment, on a clock that was set.
    Some(age.unwrap_or_default() <= FRESH)
}

fn read(estimates: &Path) -> Option<(String, Estimate)> {
    if !is_fresh(estimates)? {
        return None;
    }
    let nanoseconds = json(estimates)?.pointer("/median/point_estimate")?.as_f64()?;
    let benchmark = json(&estimates.with_file_name("benchmark.json"))?;
    let name = benchmark.get("full_id")?.as_str()?.to_owned();
    let elements = benchmark.pointer("/throughput/Elements").and_then(Value::as_u64);
    Some((name, Estimate { nanoseconds, elements }))
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_criterion_are_read() {
        // given what criterion writes, and a folder of an earlier baseline
        let folder = tempfile::tempdir().unwrap();
        for (bench, median) in [("log/verify/new", 2e9), ("log/verify/base", 7e9)] {
            let bench = folder.path().join(bench);
            fs::create_dir_all(&bench).unwrap();
            let estimates = format!(r#"{{"mean":{{}},"median":{{"point_estimate":{median}}}}}"#);
            fs::write(bench.join("estimates.json"), estimates).unwrap();
            let benchmark = r#"{"full_id":"log/verify","throughput":{"Elements":4}}"#;
            fs::write(bench.join("benchmark.json"), benchmark).unwrap();
        }
        // when
        let read = Estimates::read(folder.path());
        // then
        assert_eq!(read.iter().count(), 1);
        assert_eq!((read.seconds("log/verify"), read.per_second("log/verify")), (Some(2.0), Some(2.0)));
        assert_eq!(read.seconds("log/start"), None);
    }
}
