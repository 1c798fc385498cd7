//! The openssl program as the independent other side: it makes requests of every kind and judges certificates.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A directory in which openssl works.
pub struct Openssl(TempDir);

impl Openssl {
    /// An empty directory.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), bytes).expect("it can be written");
        self.path(name)
    }

    /// Runs `openssl`; the arguments are separated by spaces. Whether it succeeded, and all that it printed.
    pub fn run(&self, arguments: &str) -> (bool, String) {
        self.run_list(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs `openssl`, and expects success.
    pub fn must(&self, arguments: &str) -> String {
        let (succeeded, text) = self.run(arguments);
        assert!(succeeded, "openssl {arguments}: {text}");
        text
    }

    /// A DER request with a fresh key made by `openssl genpkey`.
    pub fn csr(&self, genpkey: &str) -> Vec<u8> {
        self.csr_asking(genpkey, &[])
    }

    /// A DER request with a fresh key, a subject of its own, and extensions (`-addext`).
    pub fn csr_asking(&self, genpkey: &str, extensions: &[&str]) -> Vec<u8> {
        self.must(&format!("genpkey {genpkey} -out key.pem"));
        let request = "req -new -sha256 -key key.pem -subj /CN=root/O=evil -outform DER -out csr.der";
        let mut arguments: Vec<&str> = request.split_whitespace().collect();
        arguments.extend(extensions.iter().flat_map(|extension| ["-addext", extension]));
        let (succeeded, text) = self.run_list(&arguments);
        assert!(succeeded, "{arguments:?}: {text}");
        fs::read(self.path("csr.der")).expect("openssl wrote it")
    }

    fn run_list(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .expect("openssl is installed: the Makefile sees to it");
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), text.concat())
    }
}

/// A program of others that judges pact, from `PACT_JUDGES_DIR`.
pub fn judge(name: &str) -> PathBuf {
    let home = || {
        let home = std::env::var_os("HOME").expect("there is a home directory");
        Path::new(&home).join(".cache/pact/venv/bin")
    };
    let path = std::env::var_os("PACT_JUDGES_DIR").map_or_else(home, PathBuf::from).join(name);
    assert!(path.is_file(), "{} is missing; run `make test`, which installs it", path.display());
    path
}
