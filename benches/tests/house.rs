//! The repository checks itself: who may use whom, what lies where, how large a file may grow.
//!
//! A failure is either a slip, or a design decision: then change the table here together with ARCHITECTURE.md.
//! Each check is a function over the root of a tree. One test shows that it holds here, its twin that it can fail.
//!
//! It lies in `benches` because this is the one crate that may depend on all others.
//!
//! Not here, on purpose: what clippy and rustc check already (length of functions, `unwrap`, `unsafe`, doc comments).

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use walkdir::WalkDir;

/// Who may depend on whom. A crate is called like its folder; what is missing here does not exist.
const MAY_USE: &[(&str, &[&str])] = &[
    ("events", &[]),
    ("proto", &["events"]),
    ("agent", &["events", "proto"]),
    ("cli", &["events", "proto"]),
    ("journal", &["events", "proto"]),
    ("replay", &["events"]),
    ("loadtest", &["agent", "events", "proto"]),
    ("benches", &["agent", "events", "journal", "proto", "replay"]),
];

/// Edges that only tests may have: (who, whom).
const TESTS_MAY_USE: &[(&str, &str)] = &[];

/// In which rooms of `journal/src` a library may be named; a room is a folder, or the file of that name.
const ROOMS: &[(&str, &[&str])] = &[
    ("rocksdb", &["log"]),
    ("openraft", &["log"]),
    ("tonic", &["cluster", "grpc"]),
    ("tonic_health", &["grpc"]),
    ("tonic_reflection", &["grpc"]),
    ("tonic_types", &["grpc"]),
    ("rcgen", &["authority", "domain_ca"]),
    ("actix", &["actors", "authority"]),
    ("hyper", &["cluster", "grpc", "http"]),
    ("hyper_util", &["cluster", "grpc", "http"]),
    ("http_body_util", &["http"]),
    ("metrics_facade", &["metrics"]),
    ("metrics_exporter_prometheus", &["metrics"]),
];

/// What would make two replicas fold the same facts differently, or make `events` wait.
const IMPURE: &[&str] = &[
    "SystemTime",
    "Instant",
    "now_utc",
    "HashMap",
    "HashSet",
    "RandomState",
    "SystemRandom",
    "rand::",
    "tokio",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
];

/// The modules of [`IMPURE`] as they look inside `use std::{…}`.
const IMPURE_IN_BRACES: &[&str] = &["fs", "net", "env", "process", "thread"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "manager", "managers"];

/// Paths that exist on one machine only, and traces of how a text came to be.
const FOREIGN: &[&str] = &["/root/", "/home/", "/Users/", "/work/", "Co-Authored-By", "Generated with"];

/// This file has to spell [`FOREIGN`] out.
const SPELLS_FOREIGN_WORDS: &str = "benches/tests/house.rs";

/// Lines of a file without its tests. More means that two things live in it.
const FILE_LINES: usize = 500;

/// Lines of a `main.rs`, which starts and stops, and nothing else.
const MAIN_LINES: usize = 60;

/// Crates use only what [`MAY_USE`] grants, lie in the folder of their name, and are all in the table.
fn dependencies(root: &Path) -> Vec<String> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("the tree is a cargo workspace");
    let mut faults: Vec<String> = metadata.packages.iter().flat_map(|package| edges(root, package)).collect();
    for (name, _) in MAY_USE {
        if !metadata.packages.iter().any(|package| package.name.as_str() == *name) {
            faults.push(format!("{name} is in the table, but not in the workspace"));
        }
    }
    faults
}

/// The faults of one crate: its name, its folder, its edges to crates of ours.
fn edges(root: &Path, package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    let Some((_, granted)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{name} is not in the table")];
    };
    let mut faults = Vec::new();
    let folder = package.manifest_path.parent().and_then(|folder| folder.file_name());
    if folder != Some(name) || !root.join(name).join("Cargo.toml").exists() {
        faults.push(format!("{name} lies in {}", package.manifest_path));
    }
    for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
        let used = dependency.name.as_str();
        let for_tests =
            dependency.kind == DependencyKind::Development && TESTS_MAY_USE.contains(&(name, used));
        if !granted.contains(&used) && !for_tests {
            faults.push(format!("{name} may not use {used}"));
        }
    }
    faults
}

/// Every Rust file opens with its contract.
fn contracts(root: &Path) -> Vec<String> {
    rust_files(root)
        .into_iter()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| format!("{} does not open with //!", file.name))
        .collect()
}

/// No file outgrows [`FILE_LINES`] without its tests, no `main.rs` reaches [`MAIN_LINES`].
fn sizes(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for file in rust_files(root) {
        let lines = file.lines_without_tests().len();
        if lines > FILE_LINES {
            faults.push(format!("{} has {lines} lines without its tests", file.name));
        }
        if file.name.ends_with("/src/main.rs") && file.text.lines().count() >= MAIN_LINES {
            faults.push(format!("{} does more than to start and to stop", file.name));
        }
    }
    faults
}

/// Inside `journal` each library stays in its [`ROOMS`]. Tests may use what they need.
fn rooms(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for file in rust_files(root) {
        let Some(place) = file.name.strip_prefix("journal/src/") else { continue };
        let room = place.split('/').next().map(|first| first.trim_end_matches(".rs")).unwrap_or_default();
        for (library, allowed) in ROOMS.iter().filter(|(_, allowed)| !allowed.contains(&room)) {
            for (number, line) in file.code() {
                if mentions(line, &format!("{library}::")) || mentions(line, &format!("use {library}")) {
                    faults
                        .push(format!("{}:{number} names {library}, whose place is {allowed:?}", file.name));
                }
            }
        }
    }
    faults
}

/// `events` has no clock, no randomness, no unordered map, no I/O and no runtime.
fn purity(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for file in rust_files(root).iter().filter(|file| file.name.starts_with("events/src/")) {
        for (number, line) in file.code() {
            let in_braces = line.trim_start().starts_with("use std::{");
            let more = IMPURE_IN_BRACES.iter().filter(|_| in_braces);
            for word in IMPURE.iter().chain(more).filter(|word| mentions(line, word)) {
                faults.push(format!("{}:{number} names {word}", file.name));
            }
        }
    }
    faults
}

/// In `journal` nobody looks into the views twice at once. Between two looks of one thread a fold may come to wait for the first
/// to end; the second look waits behind the fold, and all of them for ever.
///
/// Seen by the text: what a `match` looks at lives as long as the `match`, what is bound as long as its block.
fn looks_within_looks(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for file in rust_files(root).iter().filter(|file| file.name.starts_with("journal/src/")) {
        let code = file.code();
        let looking = functions_that_look(&code);
        for (at, (number, line)) in code.iter().enumerate() {
            let subject = ["match ", "if let ", "while let ", "for "]
                .iter()
                .any(|head| line.trim_start().starts_with(head));
            if subject && line.contains(".log.views()") {
                faults.push(format!(
                    "{}:{number} holds the views for a whole block: bind what it looks at before",
                    file.name
                ));
            }
            let bound = line.trim_start().strip_prefix("let ").and_then(|rest| rest.split_once(" = "));
            let Some((name, _)) = bound.filter(|(_, value)| value.ends_with(".views();")) else { continue };
            let depth = indent(line);
            let block =
                code[at + 1..].iter().take_while(|(_, next)| next.trim().is_empty() || indent(next) >= depth);
            let held = block.take_while(|(_, next)| !next.contains(&format!("drop({name})")));
            for (inner, next) in held.filter(|(_, next)| looks(next, &looking)) {
                faults.push(format!(
                    "{}:{inner} looks into the views while line {number} does: {}",
                    file.name,
                    next.trim()
                ));
            }
        }
    }
    faults
}

/// The methods of a file that look into the views.
fn functions_that_look(code: &[(usize, &str)]) -> Vec<String> {
    let (mut found, mut current) = (Vec::new(), None);
    for (_, line) in code {
        if let Some((_, name)) = line.split_once("fn ") {
            current = name.split(['(', '<']).next().map(str::to_owned);
        }
        if line.contains(".views()") {
            found.extend(current.take());
        }
    }
    found
}

fn looks(line: &str, looking: &[String]) -> bool {
    line.contains(".log.views()") || looking.iter().any(|name| line.contains(&format!("self.{name}(")))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// No file or folder has one of the [`EMPTY_NAMES`].
fn names(root: &Path) -> Vec<String> {
    let says_nothing = |path: &Path| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_lowercase();
        stem.split(['_', '-', '.']).any(|part| EMPTY_NAMES.contains(&part))
    };
    tree(root)
        .filter(|path| says_nothing(path))
        .map(|path| format!("{} says nothing", relative(root, &path)))
        .collect()
}

/// No text of the repository names a machine of its authors, or how it came to be.
fn foreign_words(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for path in tree(root).filter(|path| path.is_file()) {
        let name = relative(root, &path);
        // What is not UTF-8 is no text: golden bytes.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if name == SPELLS_FOREIGN_WORDS {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            for word in FOREIGN.iter().filter(|word| mentions_in_any_case(line, word)) {
                faults.push(format!("{name}:{} says {word}", index + 1));
            }
        }
    }
    faults
}

/// A Rust file of one of our crates.
struct RustFile {
    /// From the root, with `/`.
    name: String,
    text: String,
}

impl RustFile {
    /// Is all of it a test?
    fn is_test(&self) -> bool {
        self.name.ends_with("/tests.rs") || self.name.contains("/tests/")
    }

    /// Its lines with their numbers, without the modules `#[cfg(test)] mod … { … }` at the margin. rustfmt puts the
    /// closing brace of such a module at the margin, too.
    fn lines_without_tests(&self) -> Vec<(usize, &str)> {
        let mut kept = Vec::new();
        if self.is_test() {
            return kept;
        }
        let mut lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line)).peekable();
        while let Some((number, line)) = lines.next() {
            let opens = |next: &str| next.starts_with("mod ") && next.ends_with('{');
            if line == "#[cfg(test)]" && lines.peek().is_some_and(|(_, next)| opens(next)) {
                lines.by_ref().find(|(_, inside)| *inside == "}");
            } else {
                kept.push((number, line));
            }
        }
        kept
    }

    /// As [`Self::lines_without_tests`], without comments. The `//` of an URL is none.
    fn code(&self) -> Vec<(usize, &str)> {
        let comment =
            |line: &str| line.match_indices("//").map(|(at, _)| at).find(|at| !line[..*at].ends_with(':'));
        let lines = self.lines_without_tests().into_iter();
        lines.map(|(number, line)| (number, &line[..comment(line).unwrap_or(line.len())])).collect()
    }
}

/// All Rust files in the folders of [`MAY_USE`], and those that fuzz them.
fn rust_files(root: &Path) -> Vec<RustFile> {
    let folders = || MAY_USE.iter().map(|(folder, _)| *folder).chain(["fuzz"]);
    let ours = |name: &str| folders().any(|folder| name.starts_with(&format!("{folder}/")));
    tree(root)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| (relative(root, &path), path))
        .filter(|(name, _)| ours(name))
        .map(|(name, path)| RustFile { name, text: fs::read_to_string(path).expect("Rust is UTF-8") })
        .collect()
}

/// All that lies in the tree, but for git's own and what was built, in the order of the names.
fn tree(root: &Path) -> impl Iterator<Item = PathBuf> {
    let built = root.join("target");
    WalkDir::new(root)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(move |entry| entry.file_name() != ".git" && entry.path() != built)
        .map(|entry| entry.expect("the tree can be read").into_path())
}

/// The path from the root, as it is printed.
fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).expect("it was found below the root").display().to_string()
}

/// Does the word stand in the line, and not as a part of a longer name?
fn mentions(line: &str, word: &str) -> bool {
    let in_name = |found: Option<char>| found.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let open_end = !in_name(word.chars().next_back());
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !in_name(before.chars().next_back()) && (open_end || !in_name(after.chars().next()))
    })
}

/// As [`mentions`], whatever the case of the letters.
fn mentions_in_any_case(line: &str, word: &str) -> bool {
    mentions(&line.to_lowercase(), &word.to_lowercase())
}

/// The root of this repository.
fn here() -> PathBuf {
    // Tests run in the folder of their package.
    let benches = Path::new(".").canonicalize().expect("it is here");
    benches.parent().expect("benches lies in the root").to_owned()
}

/// A tree with these files, to show that a check can fail. It goes with the value.
fn planted(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("there is a directory for temporary files");
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies below the root")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    }
    root
}

/// Plants the files and expects exactly these faults.
fn finds(check: fn(&Path) -> Vec<String>, files: &[(&str, &str)], faults: &[&str]) {
    assert_eq!(check(planted(files).path()), faults);
}

const NO_FAULT: Vec<String> = Vec::new();

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    assert_eq!(dependencies(&here()), NO_FAULT);
}

#[test]
fn a_dependency_outside_the_table_is_found() {
    // given a workspace as it should be, but for what this test plants
    let mut files =
        vec![("Cargo.toml".to_owned(), "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n".to_owned())];
    for (name, _) in MAY_USE {
        let planted = match *name {
            "events" => "[build-dependencies]\nproto = { path = \"../proto\" }\n",
            "replay" => "[dev-dependencies]\nproto = { path = \"../proto\" }\n",
            "cli" => "[dependencies]\nevents = { path = \"../events\" }\n",
            _ => "",
        };
        let package =
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n{planted}");
        files.push((format!("{name}/Cargo.toml"), package));
        files.push((format!("{name}/src/lib.rs"), "//! Planted.\n".to_owned()));
    }
    files.push((
        "extra/Cargo.toml".to_owned(),
        "[package]\nname = \"extra\"\nedition = \"2024\"\n".to_owned(),
    ));
    files.push(("extra/src/lib.rs".to_owned(), "//! Planted.\n".to_owned()));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let root = planted(&files);

    // when
    let mut faults = dependencies(root.path());

    // then
    faults.sort();
    assert_eq!(faults, ["events may not use proto", "extra is not in the table", "replay may not use proto"]);
}

#[test]
fn a_crate_outside_the_folder_of_its_name_is_found() {
    let member = "[package]\nname = \"events\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    let root = planted(&[
        ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"facts\"]\n"),
        ("facts/Cargo.toml", member),
        ("facts/src/lib.rs", "//! Planted.\n"),
    ]);

    let faults = dependencies(root.path());

    assert!(faults.iter().any(|fault| fault.starts_with("events lies in")), "{faults:?}");
    assert!(faults.contains(&"journal is in the table, but not in the workspace".to_owned()), "{faults:?}");
}

#[test]
fn every_file_opens_with_its_contract() {
    assert_eq!(contracts(&here()), NO_FAULT);
}

#[test]
fn a_file_without_a_contract_is_found() {
    finds(
        contracts,
        &[("agent/build.rs", "fn main() {}\n"), ("agent/src/lib.rs", "//! Asks.\n"), ("notes/a.rs", "")],
        &["agent/build.rs does not open with //!"],
    );
}

#[test]
fn files_are_short() {
    assert_eq!(sizes(&here()), NO_FAULT);
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    // a test\n".repeat(FILE_LINES));
    let long = format!("{tests}{}", "const A: u8 = 0;\n".repeat(FILE_LINES + 1));
    let fits = format!("{}{tests}", "const A: u8 = 0;\n".repeat(FILE_LINES));
    let main = "fn more() {}\n".repeat(MAIN_LINES);
    finds(
        sizes,
        &[
            ("agent/src/fits.rs", &fits),
            ("agent/src/long.rs", &long),
            ("agent/src/long/tests.rs", &long.replace("#[cfg(test)]", "")),
            ("agent/src/main.rs", &main),
        ],
        &[
            "agent/src/long.rs has 501 lines without its tests",
            "agent/src/main.rs does more than to start and to stop",
        ],
    );
}

#[test]
fn nobody_looks_into_the_views_twice_at_once() {
    assert_eq!(looks_within_looks(&here()), NO_FAULT);
}

#[test]
fn a_look_within_a_look_is_found() {
    // Both stood here once, and held up a journal for ever.
    let matched = "//! Checks.\nfn check(&self) {\n    match self.log.views().standing() {\n        Unknown if self.other() => {}\n    }\n}\n";
    let bound = "//! Tells.\nfn tell(&self) {\n    let views = self.log.views();\n    told.extend(self.low());\n}\n\
        fn low(&self) {\n    let views = self.log.views();\n}\n\
        fn sound(&self) {\n    let low = self.low();\n    let views = self.log.views();\n    drop(views);\n    self.low();\n}\n";
    finds(
        looks_within_looks,
        &[("journal/src/grpc/verifier.rs", matched), ("journal/src/grpc/status.rs", bound)],
        &[
            "journal/src/grpc/status.rs:4 looks into the views while line 3 does: told.extend(self.low());",
            "journal/src/grpc/verifier.rs:3 holds the views for a whole block: bind what it looks at before",
        ],
    );
}

#[test]
fn libraries_stay_in_their_rooms() {
    assert_eq!(rooms(&here()), NO_FAULT);
}

#[test]
fn a_library_outside_its_room_is_found() {
    let tested = "// rocksdb::DB lies in the log.\n#[cfg(test)]\nmod tests {\n    use rcgen::KeyPair;\n}\n";
    finds(
        rooms,
        &[
            ("agent/src/lib.rs", "use tonic::Status;\n"),
            ("journal/src/actors/node_actor.rs", "use actix::Actor;\nuse tonic::Status;\n"),
            ("journal/src/grpc.rs", "use tonic::Status;\nlet my_actix::x;\n"),
            ("journal/src/log/store.rs", "use rocksdb::DB;\n"),
            ("journal/src/serve.rs", tested),
            ("journal/src/start.rs", "\nfn open() -> rocksdb::DB {}\nuse openraft as raft;\n"),
        ],
        &[
            "journal/src/actors/node_actor.rs:2 names tonic, whose place is [\"cluster\", \"grpc\"]",
            "journal/src/start.rs:2 names rocksdb, whose place is [\"log\"]",
            "journal/src/start.rs:3 names openraft, whose place is [\"log\"]",
        ],
    );
}

#[test]
fn events_is_pure() {
    assert_eq!(purity(&here()), NO_FAULT);
}

#[test]
fn impurity_in_events_is_found() {
    finds(
        purity,
        &[
            ("events/src/a.rs", "use std::time::Instant;\n/// No HashMap here.\nstruct Instantly;\n"),
            ("events/src/b.rs", "use std::{fmt, fs};\nlet now = OffsetDateTime::now_utc();\n"),
            ("events/src/c.rs", "let operand::x = 1;\n#[cfg(test)]\nmod tests {\n    use rand::Rng;\n}\n"),
            ("events/tests/golden.rs", "use std::fs;\n"),
            ("replay/src/lib.rs", "use std::fs;\n"),
        ],
        &["events/src/a.rs:1 names Instant", "events/src/b.rs:1 names fs", "events/src/b.rs:2 names now_utc"],
    );
}

#[test]
fn names_say_what_is_inside() {
    assert_eq!(names(&here()), NO_FAULT);
}

#[test]
fn an_empty_name_is_found() {
    finds(
        names,
        &[
            ("agent/src/common/mod.rs", ""),
            ("agent/src/commonly.rs", ""),
            ("agent/src/key_manager.rs", ""),
            ("target/release/util.rs", ""),
        ],
        &["agent/src/common says nothing", "agent/src/key_manager.rs says nothing"],
    );
}

#[test]
fn no_text_names_the_machine_it_was_written_on() {
    assert_eq!(foreign_words(&here()), NO_FAULT);
}

#[test]
fn a_foreign_word_is_found() {
    finds(
        foreign_words,
        &[
            ("README.md", "See https://example.org/home/x.\nRun /home/jo/pact.\n"),
            ("agent/src/lib.rs", "// generated WITH care\n"),
            (".git/config", "/root/\n"),
            (SPELLS_FOREIGN_WORDS, "/root/\n"),
        ],
        &["README.md:2 says /home/", "agent/src/lib.rs:1 says Generated with"],
    );
}
