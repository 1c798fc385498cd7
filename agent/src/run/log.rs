//! What somebody who reads the log is told of a life.

use crate::life::Warning;

pub(super) fn warn(warning: &Warning) {
    match warning {
        Warning::NotEnrolled { failure, wait, remedy: Some(remedy) } => {
            let (reason, wait_ms) = (failure.reason_text(), wait.as_millis());
            tracing::warn!(reason, message = %failure, wait_ms, remedy, "this node is not let in yet");
        }
        Warning::NotEnrolled { failure, wait, remedy: None } | Warning::NotSubscribed { failure, wait } => {
            let (reason, wait_ms) = (failure.reason_text(), wait.as_millis());
            tracing::warn!(reason, message = %failure, wait_ms, "no journal serves this node yet");
        }
        Warning::NotRenewed { failure, wait, left } => {
            let (reason, wait_ms) = (failure.reason_text(), wait.as_millis());
            tracing::warn!(reason, message = %failure, wait_ms, left_secs = left.as_secs(), "not renewed yet");
        }
        Warning::NotSwapped { failure } => {
            let reason = failure.reason_text();
            tracing::warn!(reason, message = %failure, "the node does not go by its workload identity yet");
        }
        Warning::NotConfigured { failure } => {
            let reason = failure.reason_text();
            tracing::warn!(reason, message = %failure, "no boot configuration yet");
        }
        Warning::CertificateOver { failure } => {
            let reason = failure.reason_text();
            tracing::warn!(reason, message = %failure, "the certificate is over: enrolling again");
        }
    }
}
