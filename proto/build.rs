//! Compiles `proto/` into Rust, without protoc: protox reads the files, tonic-prost-build writes the code.
//!
//! The library includes two results from `OUT_DIR`: `pact.v1.rs`, and `pact.v1.bin`, the file descriptor set
//! that server reflection shows.
//!
//! Not here, on purpose: attributes and hand-written additions to generated types. What a message means is said in
//! `src/convert`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const ROOT: &str = "proto";
const FILES: [&str; 11] = [
    "proto/pact/v1/boot_config.proto",
    "proto/pact/v1/cluster.proto",
    "proto/pact/v1/enrollment.proto",
    "proto/pact/v1/event.proto",
    "proto/pact/v1/join.proto",
    "proto/pact/v1/member.proto",
    "proto/pact/v1/node.proto",
    "proto/pact/v1/operator.proto",
    "proto/pact/v1/recovery.proto",
    "proto/pact/v1/status.proto",
    "proto/pact/v1/vcluster.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    let descriptors = protox::compile(FILES, [ROOT])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("pact.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .btree_map(".")
        .codec_path("crate::frugal_codec::FrugalCodec")
        .compile_fds(descriptors)?;
    Ok(())
}
