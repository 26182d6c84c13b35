//! Schemas of parameters and answers whose form on the wire is not that of their type.

use crate::group::Group;
use crate::{Ack, LeaseParams};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The tasks of `cancel` and `retry`: one task, or a group.
#[derive(Serialize, ToSchema)]
pub(crate) struct TargetSchema {
    /// This task.
    pub(crate) task_id: Option<i64>,
    #[serde(flatten)]
    pub(crate) group: Group,
}

/// The tasks of `wait`: these tasks, or a group.
#[derive(Serialize, ToSchema)]
pub(crate) struct WaitTargetSchema {
    /// These tasks; at least one.
    pub(crate) task_ids: Option<Vec<i64>>,
    #[serde(flatten)]
    pub(crate) group: Group,
}

/// The subject of `approve` and `reject`: a task, or a permission request.
#[derive(Serialize, ToSchema)]
pub(crate) struct SubjectSchema {
    /// A task that waits for a person.
    pub(crate) task_id: Option<i64>,
    /// A permission request, as `17` or `a17`.
    pub(crate) approval_id: Option<String>,
}

/// One report, or several. A lease may follow.
#[expect(dead_code, reason = "only its schema is used")]
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum AckSchema {
    /// One report.
    Single {
        /// The report.
        #[serde(flatten)]
        ack: Box<Ack>,
        /// The tasks to lease after the report.
        lease: Option<LeaseParams>,
    },
    /// Several reports.
    Several {
        /// The reports; at least one.
        acks: Vec<Ack>,
        /// The tasks to lease after the reports.
        lease: Option<LeaseParams>,
    },
}

impl utoipa::PartialSchema for crate::AckParams {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        AckSchema::schema()
    }
}

impl ToSchema for crate::AckParams {
    fn name() -> std::borrow::Cow<'static, str> {
        "AckParams".into()
    }

    fn schemas(
        schemas: &mut Vec<(
            String,
            utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>,
        )>,
    ) {
        AckSchema::schemas(schemas);
    }
}

/// Delays between attempts.
#[derive(Serialize, ToSchema)]
#[schema(as = Retry)]
pub(crate) struct RetrySchema {
    /// First delay in seconds.
    pub(crate) initial_seconds: Option<f64>,
    /// Maximum delay in seconds.
    pub(crate) max_seconds: Option<f64>,
    /// Factor from one delay to the next.
    #[schema(minimum = 1, maximum = 100)]
    pub(crate) factor: Option<f64>,
}

/// An error as on the wire.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorSchema {
    /// A sentence for a person.
    pub(crate) message: String,
    /// A stable number.
    pub(crate) code: i64,
    /// Details for programs: the name of the code as `code`; some errors have more fields.
    pub(crate) data: ErrorDataSchema,
}

/// Details of an error.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ErrorData)]
pub(crate) struct ErrorDataSchema {
    /// The name of the code, such as `unknown_task`.
    pub(crate) code: String,
}
