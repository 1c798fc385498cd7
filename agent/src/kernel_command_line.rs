//! What the kernel command line says to an agent that is the first process of its machine: `pact.journal=`,
//! `pact.ca=`, `pact.image_built_at=`, `pact.workload_api=`, `pact.token=`, `pact.ip=`, `pact.dns=`, `pact.hostname=`.
//!
//! A machine without a disk has no other place for it. [`crate::arguments`] asks for what neither flags nor the
//! environment give, `crate::init` for what the machine itself needs. The names have a dot, so that the kernel does not hand them on to its first process in other ways.
//!
//! Words and quotes are taken apart as the kernel does it: blanks separate words, but not between double quotes, and
//! quotes around a value or a whole word do not belong to it. What follows `--` belongs to others.
//!
//! Not here, on purpose: the words of others, which are neither judged nor told; they may be anything.
//!
//! **Invariant:** reading needs time and memory in proportion to the line, of which no more than [`LINE_BYTES`] are
//! read; what others write on it changes nothing.

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{self, Read},
    net::{IpAddr, SocketAddr},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    process,
    str::{self, FromStr},
};

use events::vocabulary::Timestamp;
use proto::{
    channel::{InvalidAddress, JournalAddress},
    outcome::Failure,
};
use spiffe::transport::Endpoint;
use zeroize::Zeroizing;

use crate::journals::LEARNED;

/// Where the kernel shows its command line.
const FILE: &str = "/proc/cmdline";
/// No architecture takes a longer one: the longest is 64 KiB.
pub const LINE_BYTES: usize = 64 * 1024;
/// As many journals may be named: as many as a journal may tell.
const JOURNALS: usize = LEARNED;
/// As many servers of names may be named as a resolv.conf may name (resolv.conf(5)).
const NAME_SERVERS: usize = 3;
/// Where servers of names listen.
const DNS_PORT: u16 = 53;
/// No kernel takes a longer name of a host (sethostname(2)).
const HOSTNAME_BYTES: usize = 64;
/// An enrollment token has 50 characters; some room for later ones.
const TOKEN_BYTES: usize = 256;

/// What stands there for the agent. Of a word that may stand once, the last counts.
#[derive(Debug, Clone, Default)]
pub struct KernelCommandLine {
    /// `pact.journal=https://HOST:PORT`, repeated or with commas.
    pub journals: Vec<JournalAddress>,
    /// `pact.ca=FILE`: the domain CA certificate.
    pub ca: Option<PathBuf>,
    /// `pact.image_built_at=2026-01-31T12:00:00Z`: what time it is later than for sure (R25).
    pub image_built_at: Option<Timestamp>,
    /// `pact.workload_api=unix:///PATH` or `tcp://ADDRESS:PORT`: where a workload identity of others may come from (R11).
    pub workload_api: Option<Endpoint>,
    /// `pact.token=TOKEN`. It has no effect yet.
    pub token: Option<Token>,
    /// `pact.ip=ADDRESS/PREFIX[,GATEWAY]` or `pact.ip=dhcp`: what the first interface is given.
    pub ip: Option<Addressing>,
    /// `pact.dns=ADDRESS[:PORT]`, repeated or with commas: whom to ask for addresses of names.
    pub dns: Vec<SocketAddr>,
    /// `pact.hostname=NAME`.
    pub hostname: Option<Hostname>,
}

/// Where an interface has its address from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// From a DHCP server.
    Dhcp,
    /// From the one who wrote the line.
    Static {
        /// The interface's own.
        address: InterfaceAddress,
        /// Who takes what is for other networks; of the same family.
        gateway: Option<IpAddr>,
    },
}

/// A name for the machine: letters, digits, dots and hyphens (RFC 1123, 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hostname(String);

/// A secret, as it stands there. Its form is the journal's business.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// An address for an interface: `10.0.2.15/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: IpAddr,
    /// How many of its bits name the network: at most 32, of IPv6 128.
    pub prefix: u8,
}

/// Why a word that is the agent's cannot be used. Never shows a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableWord {
    /// It is no address of a journal.
    #[error("kernel command line: pact.journal: {0}")]
    Journal(#[from] InvalidAddress),
    /// There are more than anybody needs.
    #[error("kernel command line: pact.journal names more than {JOURNALS} journals")]
    TooManyJournals,
    /// A value that is no text, or none at all.
    #[error("kernel command line: {name} must have a value that is UTF-8 text")]
    NoText {
        /// Which word.
        name: &'static str,
    },
    /// A path cannot hold a zero byte.
    #[error("kernel command line: pact.ca must be the path of a file")]
    Ca,
    /// It is no time.
    #[error("kernel command line: pact.image_built_at must be a time, as in 2026-01-31T12:00:00Z")]
    ImageBuiltAt,
    /// It is no endpoint of a Workload API.
    #[error("kernel command line: pact.workload_api must be unix:///PATH or tcp://ADDRESS:PORT")]
    WorkloadApi,
    /// Empty, too long, or with characters that no token has.
    #[error("kernel command line: pact.token must have 1 to {TOKEN_BYTES} printable ASCII characters")]
    Token,
    /// No address with its network's length, nor a wish for one.
    #[error(
        "kernel command line: pact.ip must be ADDRESS/PREFIX[,GATEWAY], as in 10.0.2.15/24,10.0.2.2, or dhcp"
    )]
    Ip,
    /// No address of a server, or too many of them.
    #[error("kernel command line: pact.dns must be 1 to {NAME_SERVERS} times ADDRESS[:PORT], as in 10.0.2.3")]
    Dns,
    /// It is no name of a host.
    #[error(
        "kernel command line: pact.hostname must have 1 to {HOSTNAME_BYTES} letters, digits, dots and hyphens"
    )]
    Hostname,
}

impl From<UnusableWord> for Failure {
    fn from(error: UnusableWord) -> Self {
        Self::Usage(error.to_string())
    }
}

impl Token {
    /// The secret.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl FromStr for InterfaceAddress {
    type Err = UnusableWord;

    fn from_str(text: &str) -> Result<Self, UnusableWord> {
        let (address, prefix) = text.split_once('/').ok_or(UnusableWord::Ip)?;
        let address: IpAddr = address.parse().map_err(|_| UnusableWord::Ip)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let canonical = |prefix: &u8| *prefix <= most && ends_with_a_number(text);
        let prefix = prefix.parse().ok().filter(canonical).ok_or(UnusableWord::Ip)?;
        Ok(Self { address, prefix })
    }
}

impl FromStr for Addressing {
    type Err = UnusableWord;

    fn from_str(text: &str) -> Result<Self, UnusableWord> {
        if text == "dhcp" {
            return Ok(Self::Dhcp);
        }
        let (address, gateway) = match text.split_once(',') {
            Some((address, gateway)) => (address, Some(gateway)),
            None => (text, None),
        };
        let address: InterfaceAddress = address.parse()?;
        let gateway: Option<IpAddr> = gateway.map(str::parse).transpose().map_err(|_| UnusableWord::Ip)?;
        if gateway.is_some_and(|gateway| gateway.is_ipv4() != address.address.is_ipv4()) {
            return Err(UnusableWord::Ip);
        }
        Ok(Self::Static { address, gateway })
    }
}

impl fmt::Display for Addressing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dhcp => f.write_str("dhcp"),
            Self::Static { address, gateway: None } => write!(f, "{address}"),
            Self::Static { address, gateway: Some(gateway) } => write!(f, "{address},{gateway}"),
        }
    }
}

impl Hostname {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = UnusableWord;

    fn from_str(text: &str) -> Result<Self, UnusableWord> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let label = |label: &str| {
            let ends = !label.starts_with('-') && !label.ends_with('-');
            !label.is_empty() && ends && label.bytes().all(letter)
        };
        let fits = text.len() <= HOSTNAME_BYTES && text.split('.').all(label);
        if fits { Ok(Self(text.to_owned())) } else { Err(UnusableWord::Hostname) }
    }
}

/// `10.0.2.3`, `10.0.2.3:53`, `fd00::3`, `[fd00::3]:53`.
fn name_server(text: &str) -> Result<SocketAddr, UnusableWord> {
    let alone = text.parse().map(|address: IpAddr| SocketAddr::new(address, DNS_PORT));
    alone.or_else(|_| text.parse()).map_err(|_| UnusableWord::Dns)
}

/// Of what follows the slash: digits only, and no zero before them.
fn ends_with_a_number(text: &str) -> bool {
    let digits = text.rsplit('/').next().unwrap_or_default();
    digits.bytes().all(|digit| digit.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'))
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// What the kernel of this machine was told, if this process is the first of it; nothing for any other process.
///
/// # Errors
/// If a word that is the agent's cannot be used. A line that cannot be read says nothing: before `/proc` is mounted there
/// is none.
pub fn of_this_machine() -> Result<KernelCommandLine, UnusableWord> {
    if process::id() != 1 {
        return Ok(KernelCommandLine::default());
    }
    KernelCommandLine::parse(&line().unwrap_or_default())
}

fn line() -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    File::open(FILE)?.take(LINE_BYTES as u64).read_to_end(&mut line)?;
    Ok(line)
}

impl KernelCommandLine {
    /// Reads a line.
    ///
    /// # Errors
    /// If a word that is the agent's cannot be used.
    pub fn parse(line: &[u8]) -> Result<Self, UnusableWord> {
        let mut told = Self::default();
        for word in Words(line).take_while(|word| *word != (Word { name: b"--", value: None })) {
            told.take(word)?;
        }
        Ok(told)
    }

    /// Says which words were understood and change nothing yet: whoever wrote them expects something.
    pub fn warn_of_what_has_no_effect(&self) {
        if self.token.is_some() {
            let word = "pact.token";
            tracing::warn!(word, "this word of the kernel command line has no effect in this release");
        }
    }

    fn take(&mut self, word: Word<'_>) -> Result<(), UnusableWord> {
        match word.name {
            b"pact.journal" => {
                for address in word.text("pact.journal")?.split(',') {
                    let address = address.parse()?;
                    if !self.journals.contains(&address) {
                        self.journals.push(address);
                    }
                }
                if self.journals.len() > JOURNALS { Err(UnusableWord::TooManyJournals) } else { Ok(()) }
            }
            b"pact.ca" => {
                let path = word.value.filter(|path| !path.is_empty() && !path.contains(&0));
                self.ca = Some(OsStr::from_bytes(path.ok_or(UnusableWord::Ca)?).into());
                Ok(())
            }
            b"pact.workload_api" => {
                let told = Endpoint::parse(word.text("pact.workload_api")?);
                self.workload_api = Some(told.map_err(|_| UnusableWord::WorkloadApi)?);
                Ok(())
            }
            b"pact.image_built_at" => {
                let told = word.text("pact.image_built_at")?.parse();
                self.image_built_at = Some(told.map_err(|_| UnusableWord::ImageBuiltAt)?);
                Ok(())
            }
            b"pact.token" => {
                let fits = |token: &&str| (1..=TOKEN_BYTES).contains(&token.len()) && is_printable(token);
                let token = word.text("pact.token").ok().filter(fits).ok_or(UnusableWord::Token)?;
                self.token = Some(Token(Zeroizing::new(token.to_owned())));
                Ok(())
            }
            b"pact.ip" => {
                self.ip = Some(word.text("pact.ip")?.parse()?);
                Ok(())
            }
            b"pact.dns" => {
                for server in word.text("pact.dns")?.split(',') {
                    let server = name_server(server)?;
                    if !self.dns.contains(&server) {
                        self.dns.push(server);
                    }
                }
                if self.dns.len() > NAME_SERVERS { Err(UnusableWord::Dns) } else { Ok(()) }
            }
            b"pact.hostname" => {
                self.hostname = Some(word.text("pact.hostname")?.parse()?);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|letter| letter.is_ascii_graphic())
}

/// One word of the line: `name` or `name=value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word<'l> {
    name: &'l [u8],
    value: Option<&'l [u8]>,
}

impl<'l> Word<'l> {
    fn text(self, name: &'static str) -> Result<&'l str, UnusableWord> {
        self.value.and_then(|value| str::from_utf8(value).ok()).ok_or(UnusableWord::NoText { name })
    }
}

/// Takes the words off the line, as `next_arg` of the kernel's lib/cmdline.c does.
struct Words<'l>(&'l [u8]);

impl<'l> Iterator for Words<'l> {
    type Item = Word<'l>;

    fn next(&mut self) -> Option<Word<'l>> {
        let begin = self.0.iter().position(|byte| !is_blank(*byte))?;
        let line = &self.0[begin..];
        let mut quoted = false;
        let end = line.iter().position(|byte| {
            quoted ^= *byte == b'"';
            !quoted && is_blank(*byte)
        });
        let (word, rest) = line.split_at(end.unwrap_or(line.len()));
        self.0 = rest;
        Some(Word::of(word))
    }
}

impl<'l> Word<'l> {
    /// Quotes are left out where a word or its value begins with one; the one that closes them only where it ends the word.
    fn of(word: &'l [u8]) -> Self {
        let (word, mut closing) = match word.strip_prefix(b"\"") {
            Some(word) => (word, true),
            None => (word, false),
        };
        // The first byte is never taken for the sign between name and value.
        let sign = word.iter().skip(1).position(|byte| *byte == b'=').map(|at| at + 1);
        let (name, value) = match sign {
            None => (word, None),
            Some(at) => (&word[..at], Some(&word[at + 1..])),
        };
        let value = value.map(|value| match value.strip_prefix(b"\"") {
            Some(value) => {
                closing = true;
                value
            }
            None => value,
        });
        let close = |text: &'l [u8]| text.strip_suffix(b"\"").filter(|_| closing).unwrap_or(text);
        match value {
            None => Self { name: close(name), value },
            Some(value) => Self { name, value: Some(close(value)) },
        }
    }
}

/// What the kernel's `isspace` calls a blank, but for the no-break space of Latin-1: it is a part of letters in UTF-8.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> KernelCommandLine {
        KernelCommandLine::parse(line.as_bytes()).unwrap()
    }

    fn journals(line: &str) -> Vec<String> {
        parse(line).journals.iter().map(ToString::to_string).collect()
    }

    fn refused(line: &[u8]) -> UnusableWord {
        KernelCommandLine::parse(line).unwrap_err()
    }

    #[test]
    fn all_words_of_the_agent_are_found_among_others() {
        let told = parse(
            "BOOT_IMAGE=/vmlinuz root=UUID=1 ro quiet pact.journal=https://j1:9443 console=ttyS0 pact.ca=/etc/pact/ca.pem \
             pact.token=enroll_abc pact.ip=10.0.2.15/24 panic=-1\n",
        );
        assert_eq!(told.journals.iter().map(ToString::to_string).collect::<Vec<_>>(), ["https://j1:9443"]);
        assert_eq!(told.ca, Some("/etc/pact/ca.pem".into()));
        assert_eq!(told.token.unwrap().as_str(), "enroll_abc");
        assert_eq!(told.ip.unwrap().to_string(), "10.0.2.15/24");
    }

    #[test]
    fn several_journals_stand_side_by_side_or_with_commas_each_once() {
        let line =
            "pact.journal=https://j1:9443,https://j2:9443 pact.journal=https://j3:9443,https://j1:9443";
        assert_eq!(journals(line), ["https://j1:9443", "https://j2:9443", "https://j3:9443"]);
    }

    #[test]
    fn of_a_word_that_may_stand_once_the_last_counts() {
        assert_eq!(parse("pact.ca=/a pact.ca=/b").ca, Some("/b".into()));
    }

    #[test]
    fn an_interface_is_addressed_by_the_line_or_by_dhcp() {
        for text in ["10.0.2.15/24", "10.0.2.15/24,10.0.2.2", "fd00::15/64", "fd00::15/64,fd00::2", "dhcp"] {
            assert_eq!(parse(&format!("pact.ip={text}")).ip.unwrap().to_string(), text);
        }
        assert_eq!(parse("pact.ip=dhcp pact.ip=10.0.2.15/24").ip.unwrap().to_string(), "10.0.2.15/24");
    }

    #[test]
    fn servers_of_names_have_a_port_if_they_need_one_and_the_machine_has_a_name() {
        let told =
            parse("pact.dns=10.0.2.3,fd00::3 pact.dns=[fd00::4]:5353,10.0.2.3:53 pact.hostname=node-1.rack");
        let servers: Vec<String> = told.dns.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.2.3:53", "[fd00::3]:53", "[fd00::4]:5353"]);
        assert_eq!(told.hostname.unwrap().as_str(), "node-1.rack");
    }

    #[test]
    fn quotes_are_read_as_the_kernel_reads_them() {
        for (line, ca) in [
            ("pact.ca=\"/a b\"", "/a b"),
            ("\"pact.ca=/a b\"", "/a b"),
            ("pact.ca=/a\" \"b", "/a\" \"b"),
            ("pact.ca=\"/a b", "/a b"),
            ("pact.ca=\"/a\"b", "/a\"b"),
            ("pact.ca=/a=b", "/a=b"),
            ("x=\" pact.ca=/in\" pact.ca=/out", "/out"),
            ("\tpact.ca=/a\u{b}\u{c}x", "/a"),
        ] {
            assert_eq!(parse(line).ca, Some(ca.into()), "{line}");
        }
        // Between quotes that others opened stands a value of theirs; behind a quote that nobody closed too.
        assert_eq!(parse("x=\"a pact.ca=/b").ca, None);
    }

    #[test]
    fn what_follows_two_dashes_belongs_to_others() {
        assert_eq!(journals("pact.journal=https://j1:9443 -- pact.journal=broken"), ["https://j1:9443"]);
        assert_eq!(journals("--x pact.journal=https://j1:9443"), ["https://j1:9443"]);
    }

    #[test]
    fn the_words_of_others_are_ignored_whatever_they_are() {
        let noise: Vec<u8> = (0..4096_u32)
            .map(|at| (at * 131 % 251 + 3) as u8)
            .map(|byte| if byte == b'"' { b'x' } else { byte })
            .collect();
        for line in [
            [&noise[..], b" pact.ca=/a"].concat(),
            [b"pact.ca=/a ", &noise[..]].concat(),
            b"pact pact. pact.x=1 Pact.ca=/b pact.ca.x=/b xpact.ca=/b =pact.ca pact.ca=/a".to_vec(),
        ] {
            let told = KernelCommandLine::parse(&line).unwrap();
            assert_eq!((told.ca, told.journals.len()), (Some("/a".into()), 0));
        }
    }

    #[test]
    fn a_word_of_the_agent_that_cannot_be_used_is_told() {
        assert!(matches!(refused(b"pact.journal=http://j1:9443"), UnusableWord::Journal(_)));
        assert_eq!(refused(b"pact.journal"), UnusableWord::NoText { name: "pact.journal" });
        assert_eq!(refused(b"pact.journal=\xff"), UnusableWord::NoText { name: "pact.journal" });
        assert_eq!([refused(b"pact.ca"), refused(b"pact.ca=")], [UnusableWord::Ca, UnusableWord::Ca]);
        for time in ["", "2026", "2026-01-31T12:00:00", "1700000000"] {
            let line = format!("pact.image_built_at={time}");
            assert_eq!(refused(line.as_bytes()), UnusableWord::ImageBuiltAt, "{time}");
        }
        let built = parse("pact.image_built_at=2026-01-31T12:00:00Z").image_built_at.unwrap();
        assert_eq!(built.to_string(), "2026-01-31T12:00:00.000Z");
        for ip in [
            "",
            "10.0.2.15",
            "10.0.2.15/33",
            "10.0.2.15/024",
            "10.0.2.15/+24",
            "::1/129",
            "10.0.2.15/24/24",
            "10.0.2.15/24,",
            "10.0.2.15/24,fd00::1",
            "10.0.2.15/24,10.0.2.2,10.0.2.3",
            "DHCP",
            "dhcp,10.0.2.2",
        ] {
            assert_eq!(refused(format!("pact.ip={ip}").as_bytes()), UnusableWord::Ip, "{ip}");
        }
        for dns in ["", "dns", "10.0.2.3:", "10.0.2.3:99999", "10.0.2.3,", "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4"]
        {
            assert_eq!(refused(format!("pact.dns={dns}").as_bytes()), UnusableWord::Dns, "{dns}");
        }
        for name in ["", "-a", "a-", "a..b", "a b\"", "node_1", &"x".repeat(65)] {
            let line = format!("pact.hostname=\"{name}\"");
            assert_eq!(refused(line.as_bytes()), UnusableWord::Hostname, "{name}");
        }
        let many: Vec<String> =
            (0..=JOURNALS).map(|number| format!("pact.journal=https://j{number}:1")).collect();
        assert_eq!(refused(many.join(" ").as_bytes()), UnusableWord::TooManyJournals);
    }

    #[test]
    fn rule_23_a_token_shows_neither_in_debug_nor_in_an_error() {
        let told = format!("{:?} {:?}", parse("pact.token=secret"), refused(b"pact.token=\"sec ret\""));
        assert!(told.contains("Token(..)") && !told.contains("sec"), "{told}");
        assert_eq!(refused("pact.token=sécret".as_bytes()), UnusableWord::Token);
        assert_eq!(refused(format!("pact.token={}", "x".repeat(257)).as_bytes()), UnusableWord::Token);
    }

    #[test]
    fn a_process_that_is_not_the_first_one_is_told_nothing() {
        assert!(of_this_machine().unwrap().journals.is_empty());
    }

    proptest! {
        #[test]
        fn no_line_makes_reading_panic(line: Vec<u8>) {
            KernelCommandLine::parse(&line).ok();
        }

        #[test]
        fn no_line_of_its_own_letters_makes_reading_panic(line in "(pact\\.(ca|dns|hostname|ip|journal|token)|[\"=, a/-]){0,40}") {
            KernelCommandLine::parse(line.as_bytes()).ok();
        }
    }
}
