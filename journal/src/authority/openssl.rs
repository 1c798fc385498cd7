//! The openssl program as the independent other side in tests: it makes requests of every kind and judges
//! certificates.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A directory in which openssl works.
pub(crate) struct Openssl(TempDir);

impl Openssl {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs `openssl` in the directory; the arguments are separated by spaces. Whether it succeeded, and all that it
    /// printed.
    pub(crate) fn run(&self, arguments: &str) -> (bool, String) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .expect("openssl is installed: the Makefile sees to it");
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), text.concat())
    }

    pub(crate) fn must(&self, arguments: &str) -> String {
        let (succeeded, text) = self.run(arguments);
        assert!(succeeded, "openssl {arguments}: {text}");
        text
    }

    /// A DER request with a fresh key made by `openssl genpkey`, and further arguments for `openssl req`.
    pub(crate) fn csr(genpkey: &str, req: &str) -> Vec<u8> {
        let openssl = Self::new();
        openssl.must(&format!("genpkey {genpkey} -out key.pem"));
        openssl.csr_of("key.pem", req)
    }

    /// A DER request with a key that lies in the directory.
    pub(crate) fn csr_of(&self, key: &str, req: &str) -> Vec<u8> {
        self.must(&format!("req -new -key {key} -subj /CN=root/O=evil {req} -outform DER -out csr.der"));
        std::fs::read(self.path("csr.der")).unwrap()
    }
}
