//! The first process of a process namespace with a root of its own: nothing is mounted there but programs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use super::{agent_process::RunningAgent, until};

/// Makes the root and becomes the agent in it: ROOT, then the words of the kernel or nothing, then the command.
const ROOT: &str = r#"
set -e
root=$1 words=$2
shift 2
for name in bin etc lib lib64 usr; do
    if [ -L "/$name" ]; then cp -a "/$name" "$root/"; elif [ -d "/$name" ]; then
        mkdir "$root/$name" && mount --bind "/$name" "$root/$name"
    fi
done
if [ -n "$words" ]; then
    mkdir "$root/proc" && mount -t proc proc "$root/proc" && mount --bind "$words" "$root/proc/cmdline"
fi
if [ -e "$root/opt/watchdog" ]; then
    mkdir "$root/dev" && mount -t tmpfs tmpfs "$root/dev"
    touch "$root/dev/watchdog" && mount --bind "$root/opt/watchdog" "$root/dev/watchdog"
    mknod "$root/dev/null" c 1 3
    mknod "$root/dev/urandom" c 1 9
fi
exec chroot "$root" "$@"
"#;

/// See the module.
pub struct Namespace {
    folder: tempfile::TempDir,
    namespaces: Vec<&'static str>,
    words: Option<String>,
    environment: Vec<(&'static str, String)>,
}

impl Namespace {
    /// With these programs and files in `/opt`.
    pub fn with(files: &[(&Path, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("there is a directory for temporary files");
        let opt = folder.path().join("root/opt");
        fs::create_dir_all(&opt).expect("the directory is ours");
        for (file, name) in files {
            fs::copy(file, opt.join(name)).expect("the file is there");
        }
        Self { folder, namespaces: vec![], words: None, environment: vec![] }
    }

    /// With further namespaces of its own.
    pub fn unshared(mut self, namespaces: &[&'static str]) -> Self {
        self.namespaces.extend(namespaces);
        self
    }

    /// Its kernel was told this.
    pub fn told(mut self, words: &str) -> Self {
        self.words = Some(format!("{words}\n"));
        self
    }

    pub fn environment(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// A file in its root.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("root").join(name)
    }

    /// Starts a command as its first process.
    pub async fn start(&self, command: &[&str]) -> FirstProcess {
        let words = self.words.as_ref().map(|words| {
            let path = self.folder.path().join("words");
            fs::write(&path, words).expect("the directory is ours");
            path
        });
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--pid", "--fork", "--kill-child"]).args(&self.namespaces);
        unshare.args(["--", "sh", "-c", ROOT, "sh"]).arg(self.folder.path().join("root"));
        unshare.arg(words.unwrap_or_default()).args(command).stdin(Stdio::null()).kill_on_drop(true);
        for name in ["PACT_JOURNALS", "PACT_CA", "RUST_LOG", "NOTIFY_SOCKET"] {
            unshare.env_remove(name);
        }
        unshare.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let agent = RunningAgent::start(&mut unshare);
        let program = "/opt/agent";
        let outer = agent.pid();
        let pid = until("the first process", || {
            let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
            let pid: u32 = children.split_whitespace().next()?.parse().ok()?;
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            line.starts_with(program.as_bytes()).then_some(pid)
        })
        .await;
        FirstProcess { agent, pid }
    }
}

/// The first process, and its number outside.
pub struct FirstProcess {
    pub agent: RunningAgent,
    pub pid: u32,
}

impl FirstProcess {
    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal);
    }

    /// Something that the kernel shows of it.
    pub fn proc(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid)).unwrap_or_default()
    }

    /// The numbers of its children outside, also of those that have ended.
    pub fn children(&self) -> Vec<u32> {
        let told = self.proc(&format!("task/{}/children", self.pid));
        told.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Runs something in its namespaces, to its end.
    pub async fn beside(&self, script: &str) -> Output {
        let pid = self.pid.to_string();
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--target", &pid, "--mount", "--pid", "--net", "--uts", "--root", "--wd=/"]);
        nsenter.args(["sh", "-c", script]).stdin(Stdio::null());
        nsenter.output().await.expect("nsenter is there")
    }
}

pub fn kill(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("it is a number of a process");
    kill_process(pid, signal).expect("it is there");
}
