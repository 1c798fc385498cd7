//! Hosts on one machine: a network namespace for each journal and one for all clients, on one switch of their own.
//!
//! [`crate::chaos`] puts its processes into them; [`super::injection`] cuts and heals. What is cut is dropped where it would
//! arrive, by nftables, in one direction at a time, always or now and then.
//!
//! Every run has a switch of its own, so that the same addresses serve all of them, and names of its process id, by which
//! what a killed run left behind is found and removed.
//!
//! Not here, on purpose: delays. The host's kernel has no netem.
//!
//! **Invariant:** when this is dropped none of its namespaces has a name any more.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    net::Ipv4Addr,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use proto::outcome::Failure;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Names of namespaces begin so.
const PREFIX: &str = "pactchaos";
/// Where `ip netns` keeps them.
const NAMED: &str = "/run/netns";

/// A host by its number. Clients are on the first, journals on those behind it.
pub type Host = usize;
/// The host of all clients.
pub const CLIENTS: Host = 0;

/// One direction between two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Whose packets are dropped.
    pub from: Host,
    /// Where they would arrive.
    pub to: Host,
    /// How many of a hundred.
    pub percent: u8,
}

/// See the module.
#[derive(Debug)]
pub struct Network {
    prefix: String,
    hosts: usize,
    cuts: Mutex<BTreeMap<u64, Vec<Cut>>>,
}

impl Network {
    /// Makes so many hosts besides that of the clients.
    ///
    /// # Errors
    /// If this process is not root, or a tool is missing.
    pub fn up(journals: usize) -> Result<Self, Failure> {
        sweep();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let network = Self { prefix, hosts: journals + 1, cuts: Mutex::default() };
        let switch = network.name("sw");
        let mut named = format!("netns add {switch}\n");
        let mut ports = "link add br0 type bridge\nlink set br0 up\n".to_owned();
        for host in 0..network.hosts {
            let name = network.name(&host.to_string());
            named += &format!("netns add {name}\n");
            named += &format!("link add e0 netns {name} type veth peer name p{host} netns {switch}\n");
            ports += &format!("link set p{host} master br0\nlink set p{host} up\n");
        }
        ip(None, &named)?;
        ip(Some(&switch), &ports)?;
        for host in 0..network.hosts {
            let address = address(host);
            let up = format!("link set lo up\naddr add {address}/24 dev e0\nlink set e0 up\n");
            ip(Some(&network.name(&host.to_string())), &up)?;
        }
        Ok(network)
    }

    /// Moves the calling thread, and all threads and processes that it will start, to the clients' host.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn enter(&self) -> Result<(), Failure> {
        let refused = |why: String| Failure::other(format!("the clients' host cannot be entered: {why}"));
        let there = File::open(self.path(CLIENTS)).map_err(|error| refused(error.to_string()))?;
        move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| refused(error.to_string()))
    }

    /// The file by which a host is entered.
    pub fn path(&self, host: Host) -> PathBuf {
        Path::new(NAMED).join(self.name(&host.to_string()))
    }

    /// Drops packets until this is healed by its number.
    ///
    /// # Errors
    /// If nftables refuses.
    pub fn cut(&self, fault: u64, cuts: Vec<Cut>) -> Result<(), Failure> {
        self.change(|all| all.insert(fault, cuts))
    }

    /// Takes a cut back.
    ///
    /// # Errors
    /// If nftables refuses.
    pub fn heal(&self, fault: u64) -> Result<(), Failure> {
        self.change(|all| all.remove(&fault))
    }

    fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<u64, Vec<Cut>>) -> Option<Vec<Cut>>,
    ) -> Result<(), Failure> {
        let mut all = self.cuts.lock().expect("nobody panics while it is held");
        let before = rules(self.hosts, all.values().flatten());
        change(&mut all);
        let after = rules(self.hosts, all.values().flatten());
        for host in (0..self.hosts).filter(|host| before[*host] != after[*host]) {
            let mut nft = Command::new("nsenter");
            nft.arg(format!("--net={}", self.path(host).display())).args(["nft", "-f", "-"]);
            feed(nft, &after[host])?;
        }
        Ok(())
    }

    fn name(&self, host: &str) -> String {
        format!("{}{host}", self.prefix)
    }

    /// Takes the names away; what runs there goes on until it ends.
    pub fn down(&self) {
        for host in (0..self.hosts).map(|host| host.to_string()).chain(["sw".to_owned()]) {
            remove(&self.name(&host));
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.down();
    }
}

/// Where a host is.
pub fn address(host: Host) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, u8::try_from(host).unwrap_or(u8::MAX).saturating_add(10))
}

/// What nftables is told at each host.
fn rules<'a>(hosts: usize, cuts: impl Iterator<Item = &'a Cut>) -> Vec<String> {
    let head = "flush ruleset\ntable inet cut {\nchain in {\ntype filter hook input priority 0;\n";
    let mut rules = vec![head.to_owned(); hosts];
    for Cut { from, to, percent } in cuts {
        let from = address(*from);
        let now_and_then = match percent {
            100.. => String::new(),
            percent => format!("numgen random mod 100 < {percent} "),
        };
        rules[*to] += &format!("ip saddr {from} {now_and_then}drop\n");
    }
    rules.into_iter().map(|rules| rules + "}\n}\n").collect()
}

fn ip(host: Option<&str>, lines: &str) -> Result<(), Failure> {
    let mut command = Command::new("ip");
    if let Some(host) = host {
        command.args(["-n", host]);
    }
    command.args(["-batch", "-"]);
    feed(command, lines)
}

fn feed(mut command: Command, lines: &str) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |why: String| {
        Failure::other(format!("{name}: {why}; chaos needs root, iproute2, nftables and util-linux"))
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // What it did not read it will complain about itself.
        stdin.write_all(lines.as_bytes()).ok();
    }
    let done = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned()))
}

/// Removes what a run that was killed left behind.
fn sweep() {
    let Ok(names) = fs::read_dir(NAMED) else { return };
    for name in names.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok()) {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&name);
        }
    }
}

fn remove(name: &str) {
    // It may never have been made.
    Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status().ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_dropped_where_they_arrive_and_in_one_direction() {
        let cuts = [Cut { from: 1, to: 2, percent: 100 }, Cut { from: 3, to: 2, percent: 30 }];
        let rules = rules(4, cuts.iter());
        assert!(rules[2].contains("ip saddr 10.77.0.11 drop\n"), "{}", rules[2]);
        assert!(rules[2].contains("ip saddr 10.77.0.13 numgen random mod 100 < 30 drop\n"), "{}", rules[2]);
        assert!([0, 1, 3].iter().all(|host| !rules[*host].contains("drop")));
        assert!(rules.iter().all(|rules| rules.starts_with("flush ruleset")));
    }
}
