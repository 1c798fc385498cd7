//! Secrets in every form in which a program writes bytes: raw, hex, base64, a list of numbers.

use std::collections::HashMap;

use rcgen::KeyPair;

/// Forms begin with this many bytes that are looked up at once; the rest is compared.
const HEAD: usize = 8;
/// Of a request, what is compared: the end of its signature, which nothing else shares.
const SIGNATURE: usize = 24;

/// How a P-256 key begins in PKCS #8 (RFC 5958) as everything here writes it: before the number, so that keys are found
/// that nobody told the test.
const ANY_KEY: &[u8] = &[
    0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20,
];

/// What is looked for.
pub struct Needles {
    by_head: HashMap<[u8; HEAD], Vec<(String, Vec<u8>)>>,
}

impl Default for Needles {
    fn default() -> Self {
        let mut needles = Self { by_head: HashMap::new() };
        needles.bytes("a private key", ANY_KEY);
        needles.literal("a private key's PEM", b"PRIVATE KEY");
        needles
    }
}

impl Needles {
    /// A private key: the document, and the number alone.
    pub fn key(&mut self, name: &str, key: &KeyPair) {
        let document = key.serialize_der();
        // ECPrivateKey (RFC 5915): version 1, then the number as an octet string of 32 bytes.
        let marker = [0x02, 0x01, 0x01, 0x04, 0x20];
        let at = document.windows(marker.len()).position(|window| window == marker);
        let at = at.expect("it is a P-256 key") + marker.len();
        self.bytes(&format!("{name} (number)"), &document[at..at + 32]);
    }

    /// A certificate request; handed back to be sent.
    pub fn csr(&mut self, name: &str, der: Vec<u8>) -> Vec<u8> {
        self.bytes(name, &der[der.len().saturating_sub(SIGNATURE)..]);
        der
    }

    /// A secret that is text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.bytes(name, text.as_bytes());
    }

    /// A secret that is bytes, in all forms.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.literal(name, bytes);
        self.literal(&format!("{name} as hex"), hex::encode(bytes).as_bytes());
        self.literal(&format!("{name} as HEX"), hex::encode_upper(bytes).as_bytes());
        let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
        self.literal(&format!("{name} as numbers"), numbers.join(", ").as_bytes());
        self.literal(&format!("{name} as numbers of JSON"), numbers.join(",").as_bytes());
        // Whatever stands before it shifts base64 by 0, 1 or 2 bytes; its last digits depend on what follows.
        for shift in 0..3 {
            let whole = bytes[shift..].len() / 3 * 3;
            self.literal(&format!("{name} as base64"), base64(&bytes[shift..shift + whole]).as_bytes());
        }
    }

    fn literal(&mut self, name: &str, form: &[u8]) {
        let head = *form.first_chunk().expect("a secret has at least 8 bytes");
        let of_head = self.by_head.entry(head).or_default();
        if of_head.iter().all(|(_, known)| known != form) {
            of_head.push((name.to_owned(), form.to_vec()));
        }
    }

    /// The names of what is in there.
    pub fn found_in(&self, hay: &[u8]) -> Vec<&str> {
        let mut found: Vec<&str> = vec![];
        for at in 0..hay.len().saturating_sub(HEAD - 1) {
            let head: &[u8; HEAD] = hay[at..].first_chunk().expect("that many are left");
            for (name, form) in self.by_head.get(head).into_iter().flatten() {
                if hay[at..].starts_with(form) && !found.contains(&name.as_str()) {
                    found.push(name);
                }
            }
        }
        found
    }
}

/// RFC 4648, 4, of a number of bytes that three divides.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |number: u32, at: u32| char::from(DIGITS[(number >> (18 - 6 * at)) as usize & 63]);
    let groups =
        bytes.chunks_exact(3).map(|group| group.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
    groups.flat_map(|number| (0..4).map(move |at| digit(number, at))).collect()
}

#[test]
fn the_scan_finds_a_key_that_nobody_told_it() {
    let document = KeyPair::generate().expect("ring makes keys").serialize_der();
    let needles = Needles::default();
    for form in [document.clone(), hex::encode(&document).into_bytes(), base64(&document[..135]).into_bytes()]
    {
        assert!(needles.found_in(&form).iter().any(|name| name.starts_with("a private key")));
    }
}

#[test]
fn the_scan_finds_a_secret_in_every_form() {
    let key = KeyPair::generate().expect("ring makes keys");
    let mut needles = Needles::default();
    needles.key("key", &key);
    let document = key.serialize_der();
    for form in [
        document.clone(),
        hex::encode(&document).into_bytes(),
        hex::encode_upper(&document).into_bytes(),
        format!("{document:?}").into_bytes(),
        serde_json::to_vec(&document).expect("bytes are JSON"),
        key.serialize_pem().into_bytes(),
    ] {
        assert!(!needles.found_in(&[b"before", &form[..], b"after"].concat()).is_empty());
    }
    for shift in 0..3 {
        let shifted = [&vec![0; shift][..], &document, &[0; 3]].concat();
        let encoded = base64(&shifted[..shifted.len() / 3 * 3]);
        assert!(!needles.found_in(encoded.as_bytes()).is_empty(), "{shift}");
    }
    assert!(needles.found_in(b"nothing of the kind").is_empty());
}
