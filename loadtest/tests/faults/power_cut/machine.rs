//! A machine with one disk, in QEMU: Debian's kernel, busybox as its first process, and the real journal on ext4.
//!
//! Its network is QEMU's. Both sides name each other by the same addresses: the machine is [`ADDRESS`] for the host too, the
//! host is [`HOST`] for the machine. Both are addresses of the loopback interface of a network namespace of the test's own.
//! Dropped, the machine is cut off from power.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use loadtest::{chaos::network::Network, siblings};
use proto::channel::JournalAddress;

/// As everybody knows the machine.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// As everybody knows the host.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// What its journal listens on: agents, cluster, probes, operators.
const PORTS: [u16; 4] = [9443, 9444, 9445, 9446];
/// The reserve of disk (R3), a log of some thousand facts, and what RocksDB lays out ahead.
const DISK_BYTES: u64 = 768 << 20;
/// An emulated machine on a slow one takes its time.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The names of the journal's listeners, in the order of [`PORTS`].
pub const LISTENERS: [&str; 4] = ["--agent-listen", "--cluster-listen", "--http-listen", "--operator-listen"];

/// Moves this thread, and all that it starts, into a network of its own.
pub fn network() -> Network {
    let network = Network::up(0).unwrap_or_else(|failure| panic!("{failure}"));
    network.enter().unwrap_or_else(|failure| panic!("{failure}"));
    for address in [ADDRESS, HOST] {
        succeeds(Command::new("ip").args(["address", "add", &format!("{address}/32"), "dev", "lo"]));
    }
    // QEMU passes on who speaks to the machine: that must not be its own address.
    let route =
        format!("route replace table local local {ADDRESS} dev lo proto kernel scope host src {HOST}");
    succeeds(Command::new("ip").args(route.split(' ')));
    network
}

/// Where its journal listens for agents, and for operators.
pub fn listeners() -> [JournalAddress; 2] {
    [PORTS[0], PORTS[3]].map(|port| format!("https://{ADDRESS}:{port}").parse().expect("it is an address"))
}

/// Flags of `init` and `join` for a journal at an address.
pub fn flags(address: Ipv4Addr, ports: [u16; 4]) -> Vec<String> {
    let listens = LISTENERS.iter().zip(ports);
    let mut flags: Vec<String> =
        listens.flat_map(|(flag, port)| [(*flag).to_owned(), format!("{address}:{port}")]).collect();
    flags.extend(["--advertise".to_owned(), address.to_string()]);
    flags
}

/// The same for the machine's own.
pub fn own_flags() -> Vec<String> {
    flags(ADDRESS, PORTS)
}

/// Runs a program to its end, which must be a good one.
pub fn succeeds(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// What a machine is made of, and stays when it is off.
pub struct Hardware {
    folder: PathBuf,
    kernel: PathBuf,
}

impl Hardware {
    /// With a file system that holds what lies in a folder.
    pub fn with(content: &Path, folder: &Path) -> Self {
        let cache = env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(".cache/pact");
        let kernel = cache.join("guest-kernel");
        succeeds(Command::new(script("fetch-guest-kernel.sh")).arg(&kernel));
        let hardware = Self { folder: folder.to_owned(), kernel };
        let disk = hardware.disk();
        fs::File::create(&disk).and_then(|file| file.set_len(DISK_BYTES)).expect("there is room");
        let mut mkfs = Command::new("mkfs.ext4");
        succeeds(mkfs.env("PATH", path()).args(["-q", "-F", "-d"]).args([content, &disk]));
        hardware.make_image();
        hardware
    }

    /// The file behind its disk.
    pub fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }

    fn image(&self) -> PathBuf {
        self.folder.join("initrd")
    }

    fn make_image(&self) {
        let init = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/power_cut/init.sh");
        let journal = siblings::find("pact-journal").unwrap_or_else(|failure| panic!("{failure}"));
        let busybox = find("busybox");
        let mut make = Command::new(script("make-image.sh"));
        // Its first process needs no CA: any file will do.
        make.arg("--agent").arg(&init).arg("--ca").arg(&init).arg("--modules").arg(&self.kernel);
        for module in ["virtio_pci", "virtio_net", "virtio_blk", "dm-mod", "dm-flakey"] {
            make.args(["--module", module]);
        }
        let mut add = |from: &Path, to: &str| {
            make.arg("--add").arg(format!("{}:{to}", from.display()));
        };
        add(&busybox, "/bin/busybox");
        for (program, to) in [(&find("dmsetup"), "/bin/dmsetup"), (&journal, "/bin/pact-journal")] {
            add(program, to);
            for library in libraries(program) {
                add(Path::new(&library), &library);
            }
        }
        succeeds(make.arg("--out").arg(self.image()));
    }

    /// Takes what lies on the disk out of it, as the machine would find it when it is switched on: the file system is mended
    /// as at every start.
    pub fn files(&self, name: &str, to: &Path) {
        let copy = self.folder.join("disk-to-look-at");
        fs::copy(self.disk(), &copy).expect("there is room");
        // Exit code 1: something was mended.
        let checked =
            Command::new("e2fsck").env("PATH", path()).arg("-fp").arg(&copy).output().expect("e2fsck");
        assert!(checked.status.code() <= Some(1), "{}", String::from_utf8_lossy(&checked.stdout));
        let dump = format!("rdump /{name} {}", to.display());
        succeeds(Command::new("debugfs").env("PATH", path()).args(["-R", &dump]).arg(&copy));
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name)
}

/// Tools of a system's owner lie where others do not look.
fn path() -> String {
    env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin"
}

fn find(program: &str) -> PathBuf {
    let folders = path();
    let found = folders.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no {program}: scripts/install-prerequisites.sh"))
}

/// What a program is linked with, its loader too.
fn libraries(program: &Path) -> Vec<String> {
    let told = succeeds(Command::new("ldd").arg(program));
    told.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned).collect()
}

/// A machine that is on.
pub struct Machine {
    process: Child,
    told: Arc<Mutex<Vec<String>>>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.cut();
        if thread::panicking() {
            let told = self.told();
            eprintln!("the machine's console:\n{}", told[told.len().saturating_sub(60)..].join("\n"));
        }
    }
}

impl Machine {
    /// Switches it on, with a disk as QEMU names it.
    pub fn boot(hardware: &Hardware, disk: &str) -> Self {
        let forwarded = PORTS.map(|port| format!(",hostfwd=tcp:{ADDRESS}:{port}-{ADDRESS}:{port}"));
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
        qemu.args(["-M", "q35", "-accel", "tcg,tb-size=64", "-cpu", "max", "-m", "448"]);
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]);
        qemu.arg("-kernel").arg(hardware.kernel.join("vmlinuz")).arg("-initrd").arg(hardware.image());
        // On a busy host an emulated timer comes late, which the kernel would take for a broken one.
        qemu.args(["-append", "console=ttyS0 quiet panic=-1 no_timer_check"]);
        // What the machine flushes reaches the file; what it does not, QEMU may keep to itself.
        qemu.args(["-drive", &format!("file={disk},format=raw,if=none,id=d,cache=writeback")]);
        qemu.args(["-device", "virtio-blk-pci,drive=d"]);
        qemu.args(["-netdev", &format!("user,id=n{}", forwarded.concat())]);
        qemu.args(["-device", "virtio-net-pci,netdev=n,romfile="]);
        qemu.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = qemu.spawn().expect("qemu is there");
        let told = Arc::new(Mutex::new(Vec::new()));
        let (console, lines) = (process.stdout.take().expect("it is piped"), Arc::clone(&told));
        thread::spawn(move || {
            for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { process, told }
    }

    /// All that it has said.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has said one of these; answers which, and the line.
    pub async fn says<'a>(&mut self, any: &[&'a str]) -> (&'a str, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.told();
            // Its console repeats the commands, in lower case.
            let said =
                any.iter().find_map(|word| Some((*word, told.iter().find(|line| line.contains(word))?)));
            if let Some((word, line)) = said {
                return (word, line.clone());
            }
            let ended = self.process.try_wait().expect("it is our child");
            assert!(ended.is_none() && Instant::now() < deadline, "in vain: {any:?}; {ended:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Gives its first process a command.
    pub fn order(&mut self, command: &str) {
        let console = self.process.stdin.as_mut().expect("it is piped");
        writeln!(console, "{command}").and_then(|()| console.flush()).expect("QEMU reads");
    }

    /// No goodbye, no sync.
    pub fn cut(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }

    /// Waits until it has switched itself off.
    pub async fn ends(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.process.try_wait().expect("it is our child").is_none() {
            assert!(Instant::now() < deadline, "the machine does not end");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
