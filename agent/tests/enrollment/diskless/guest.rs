//! A machine without a disk, in QEMU: Debian's kernel, and the static agent as its first process.
//!
//! Its firmware tables are made up; its network is QEMU's, in the network namespace of the journals. Dropped, it is cut off
//! from power.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use super::{PATIENCE, binary, quorum::Quorum, until};

/// What its firmware and its card show.
pub const MAC: &str = "52:54:00:12:34:42";
pub const SERIAL: &str = "SN-0042";
pub const UUID: &str = "4c4c4544-0042-3010-8050-b4c04f4d3132";

/// Where `scripts/fetch-guest-kernel.sh` puts it.
fn kernel() -> PathBuf {
    let cache = env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(".cache/pact");
    let output = Command::new(script("fetch-guest-kernel.sh"))
        .arg(cache.join("guest-kernel"))
        .output()
        .expect("the script is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    cache.join("guest-kernel")
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name)
}

/// What services of these nodes run.
fn busybox() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("busybox")).find(|file| file.is_file());
    found.expect("there is no busybox: scripts/install-prerequisites.sh installs it")
}

/// An image for the nodes of a domain.
pub struct Image {
    kernel: PathBuf,
    initrd: PathBuf,
}

impl Image {
    /// With the agent of this name.
    pub fn of(quorum: &Quorum, agent: &str) -> Self {
        let (kernel, initrd) = (kernel(), quorum.file(&format!("initrd-{agent}")));
        let mut make = Command::new(script("make-image.sh"));
        make.arg("--agent").arg(binary(agent)).arg("--ca").arg(quorum.ca());
        make.arg("--modules").arg(&kernel).arg("--out").arg(&initrd);
        make.arg("--add").arg(format!("{}:bin/busybox", busybox().display()));
        for module in ["virtio_pci", "virtio_net", "softdog soft_margin=60"] {
            make.args(["--module", module]);
        }
        let output = make.output().expect("the script is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { kernel: kernel.join("vmlinuz"), initrd }
    }
}

/// A machine that runs.
pub struct Guest {
    process: Child,
    told: Arc<Mutex<Vec<String>>>,
    monitor: PathBuf,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.cut();
        if thread::panicking() {
            eprintln!("the guest's console:\n{}", self.console().join("\n"));
        }
    }
}

impl Guest {
    /// Switches it on: with these words for the agent, and further flags of QEMU.
    pub fn boot(quorum: &Quorum, image: &Image, words: &str, more: &[&str]) -> Self {
        let monitor = quorum.file("monitor");
        fs::remove_file(&monitor).ok();
        let mut qemu = quorum.network.command("qemu-system-x86_64");
        qemu.args(["-M", "q35", "-accel", "tcg,tb-size=32", "-cpu", "max", "-m", "192"]);
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]);
        qemu.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(&image.initrd);
        // On a busy host an emulated timer comes late, which the kernel would take for a broken one.
        qemu.args(["-append", &format!("console=ttyS0 quiet panic=-1 no_timer_check splash {words}")]);
        qemu.args([
            "-smbios",
            &format!("type=1,manufacturer=Testco,product=Node,serial={SERIAL},uuid={UUID}"),
        ]);
        qemu.args(["-smbios", "type=2,serial=BB-1", "-smbios", "type=3,serial=CH-7"]);
        qemu.args([
            "-netdev",
            "user,id=n0",
            "-device",
            &format!("virtio-net-pci,netdev=n0,mac={MAC},romfile="),
        ]);
        qemu.args(["-monitor", &format!("unix:{},server=on,wait=off", monitor.display())]).args(more);
        let mut process =
            qemu.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("qemu is there");
        let told = Arc::new(Mutex::new(Vec::new()));
        let (console, lines) = (process.stdout.take().expect("it is piped"), Arc::clone(&told));
        thread::spawn(move || {
            for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { process, told, monitor }
    }

    /// All that it has said.
    pub fn console(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it says something that it had not said before, and answers that line and how many there are by then.
    pub async fn says(&self, what: &str, after: usize) -> (String, usize) {
        until(what, || {
            let console = self.console();
            let found = console.iter().enumerate().skip(after).find(|(_, line)| line.contains(what));
            found.map(|(at, line)| (line.clone(), at + 1))
        })
        .await
    }

    /// No goodbye, no sync.
    pub fn cut(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }

    /// Ctrl-Alt-Del. QEMU forgets what it has not read when somebody hangs up, so its next prompt is waited for.
    pub fn press_reset_keys(&self) {
        let mut monitor = UnixStream::connect(&self.monitor).expect("QEMU listens");
        monitor.set_read_timeout(Some(PATIENCE)).expect("it can be set");
        read_to_prompt(&mut monitor);
        monitor.write_all(b"sendkey ctrl-alt-delete\n").expect("QEMU reads");
        read_to_prompt(&mut monitor);
    }

    /// Waits until it has switched itself off, or would start again.
    pub async fn ends(&mut self) {
        until("the machine ends", || self.process.try_wait().ok().flatten()).await;
    }
}

fn read_to_prompt(monitor: &mut UnixStream) {
    let mut told = Vec::new();
    while !told.ends_with(b"(qemu) ") {
        let mut byte = [0];
        monitor.read_exact(&mut byte).expect("QEMU answers");
        told.extend(byte);
    }
}
