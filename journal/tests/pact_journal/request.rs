//! What a machine sends: hardware that no other test has, keys, certificate requests.

use std::sync::atomic::{AtomicU32, Ordering};

use proto::pb;
use rcgen::{CertificateParams, KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey};

use crate::calls::Operator;

/// A node that is registered or will be.
pub struct Machine {
    pub node_id: String,
    pub hardware: pb::HardwareIdentity,
    pub key: KeyPair,
}

impl Machine {
    /// A machine with one MAC address.
    pub fn new() -> Self {
        let number = next();
        Self {
            node_id: format!("node-{number}"),
            hardware: hardware(&[mac(number)], "", ""),
            key: KeyPair::generate().expect("ring makes keys"),
        }
    }

    /// A machine with one MAC address, a serial and a UUID.
    pub fn with_all_fields() -> Self {
        let (mut machine, number) = (Self::new(), next());
        machine.hardware.bmc_serial = format!("SN-{number}");
        machine.hardware.system_uuid = format!("4c4c4544-0042-3010-8050-{number:012x}");
        machine
    }

    /// A machine that an operator has registered.
    pub async fn registered(operator: &Operator) -> Self {
        let machine = Self::new();
        operator.register(&machine.node_id, &machine.hardware).await.expect("it is new");
        machine
    }

    /// Its certificate request.
    pub fn csr(&self) -> Vec<u8> {
        csr(&self.key)
    }

    /// The same machine with another key.
    pub fn with_new_key(&self) -> Self {
        Self {
            node_id: self.node_id.clone(),
            hardware: self.hardware.clone(),
            key: KeyPair::generate().expect("ring makes keys"),
        }
    }
}

/// A number that no other test of this process has.
pub fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A MAC address.
pub fn mac(number: u32) -> String {
    let [a, b, c, d] = number.to_be_bytes();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// A hardware identity.
pub fn hardware(macs: &[String], bmc_serial: &str, system_uuid: &str) -> pb::HardwareIdentity {
    pb::HardwareIdentity {
        mac_addresses: macs.to_vec(),
        bmc_serial: bmc_serial.to_owned(),
        system_uuid: system_uuid.to_owned(),
    }
}

/// A request that asks for nothing but a certificate.
pub fn csr(key: &impl SigningKey) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).expect("rcgen writes requests").der().to_vec()
}

/// Shows one key and signs with another.
pub struct Impostor {
    pub shown: KeyPair,
    pub held: KeyPair,
}

impl PublicKeyData for Impostor {
    fn der_bytes(&self) -> &[u8] {
        self.shown.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.shown.algorithm()
    }
}

impl SigningKey for Impostor {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.held.sign(message)
    }
}
