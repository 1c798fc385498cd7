//! Counts what becomes of each Enroll, around the service that answers it: whatever way it ends.
//!
//! **Invariant:** an answer passes unchanged.

use proto::pb;
use proto::pb::enrollment_service_server::EnrollmentService;
use proto::refusal::Refusal;
use tonic::{Request, Response, Status};

use crate::metrics::{Enrollment, Outcome};

/// A service whose enrollments count. See the module.
pub struct Measured<S>(pub S);

#[tonic::async_trait]
impl<S: EnrollmentService> EnrollmentService for Measured<S> {
    async fn enroll(
        &self,
        request: Request<pb::EnrollRequest>,
    ) -> Result<Response<pb::EnrollResponse>, Status> {
        let enrollment = Enrollment::begin();
        let answer = self.0.enroll(request).await;
        enrollment.end(answer.as_ref().map_or_else(outcome, |_| Outcome::Issued));
        answer
    }

    async fn renew_cert(
        &self,
        request: Request<pb::RenewCertRequest>,
    ) -> Result<Response<pb::EnrollResponse>, Status> {
        self.0.renew_cert(request).await
    }

    async fn bind_identity(
        &self,
        request: Request<pb::BindIdentityRequest>,
    ) -> Result<Response<pb::BindIdentityResponse>, Status> {
        self.0.bind_identity(request).await
    }
}

/// What a status says: a refusal has a reason, a failure has none.
fn outcome(status: &Status) -> Outcome {
    Refusal::from_status(status).map_or(Outcome::Failed, |refusal| Outcome::Refused(refusal.reason))
}
