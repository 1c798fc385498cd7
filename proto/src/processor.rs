//! What RocksDB is compiled for (`.cargo/config.toml`), and whether this processor has it: without the question the first
//! checksum would end the process by SIGILL, without a word.
//!
//! Called first by the programs that open a log. It knows nothing of ours, so that `pact-replay` can use the file.

/// Says what this processor lacks.
///
/// # Errors
/// If it lacks an instruction that RocksDB was compiled for.
pub fn check() -> Result<(), String> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        let has = [
            ("SSE 4.2", std::arch::is_x86_feature_detected!("sse4.2")),
            ("PCLMUL", std::arch::is_x86_feature_detected!("pclmulqdq")),
        ];
        if let Some((lacks, _)) = has.into_iter().find(|(_, has)| !has) {
            return Err(format!(
                "this processor has no {lacks}, for which this program is compiled: use one of 2011 or later, or give the \
                 virtual machine a model that has it (host)"
            ));
        }
    }
    Ok(())
}
