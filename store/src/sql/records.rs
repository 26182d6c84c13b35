//! The records that cross the seam, one enum per kind of answer, and the statement that runs each.

use super::access::{
    DeleteCredential, DeleteSomeAudit, DeleteWebSession, InsertAudit, InsertCredential,
    InsertWebSession, SetRevoked, SetUsed,
};
use super::batch::{
    DeleteBatch, DeleteBatchPart, DeleteIncompleteBatches, InsertBatchPart, SelectPartBefore,
};
use super::children_wait::*;
use super::generation::SelectSkipped;
use super::handoff::*;
use super::long_text::*;
use super::notify::*;
use super::plan::*;
use super::schedule::*;
use super::task::{SelectOptions, SelectReady, SelectReadyInPlan, SetFlags};
use super::tx::FreePages;
use super::work::{
    DeleteWork, PutWork, SelectNextChildren, SelectNextDependents, SelectNextFailed,
};
use super::{approval::*, attempt::*, cold::*, counter::*, people::*, sets::*, usage::*};
use crate::row::TaskRow;
use crate::schedules::StoredSchedule;
use diesel::{QueryResult, SqliteConnection};
use kirosu_protocol::TaskId;

/// Defines an enum of records: the conversion from each, and the function of `sql` that carries it out.
macro_rules! records {
    ($(#[$doc:meta])* $name:ident <$life:lifetime> : $run:ident -> $answer:ty { $($record:ident $(<$of:lifetime>)?),* $(,)? }) => {
        $(#[$doc])*
        #[allow(clippy::enum_variant_names, reason = "each variant has the name of its record")]
        pub(crate) enum $name<$life> { $($record($record $(<$of>)?)),* }

        $(impl<$life> From<$record $(<$of>)?> for $name<$life> {
            fn from(record: $record $(<$of>)?) -> Self {
                Self::$record(record)
            }
        })*

        impl $name<'_> {
            /// Carries the record out on a connection.
            pub(crate) fn run(self, conn: &mut SqliteConnection) -> QueryResult<$answer> {
                match self { $(Self::$record(record) => super::$run(conn, record)),* }
            }
        }
    };
}

records! {
    /// A change of one table. The answer is the number of changed rows.
    Write<'a>: run -> usize {
        AddDay<'a>, AddMinute, AddTask<'a>, DeleteAccount<'a>, DeleteApprovals, DeleteBatch, DeleteBatchPart, DeleteChild, DeleteConversation,
        DeleteCredential<'a>, DeleteDecisions, DeleteDependencies, DeleteDependents, DeleteIncompleteBatches, DeleteInput, DeleteKey,
        DeleteLabels, DeleteLane, DeleteLongText, DeleteMember, DeleteMinutes, DeleteNote, DeletePaused<'a>, DeletePieces,
        DeleteProgress, DeletePruned, DeleteReservation, DeleteSomeAttempts, DeleteSomeAudit, DeleteSomeDependencies, DeleteSomeOutput, DeleteTask, DeleteUsage,
        DeleteWork, DetachPermission, DropLongText, DropStaged, DropTextsOfAttempts, DropTextsOfTask, EndApproval<'a>,
        InsertAttempt<'a>, InsertAudit<'a>, InsertBatchPart<'a>, InsertChild, InsertCredential<'a>, InsertDecision<'a>, InsertDependencies<'a>,
        InsertDependency, InsertKey<'a>, InsertLabel<'a>, InsertLongText, InsertMember, InsertOutput<'a>,
        InsertPaused<'a>, InsertPiece<'a>, MarkDelivered, PruneMember, PutAccount<'a>, PutConversation<'a>, PutNote<'a>,
        PutProgress<'a>, PutReservation<'a>, PutWork<'a>, Rebind<'a>, SetFlags<'a>, SetLateUsage<'a>, SetRevoked<'a>, SetUsed<'a>, SpendApprovals,
        SetContinuedBy, UseLongText,
        BindSource, DeletePlanRun, DeletePlanStep, DeleteSomeItems, DeleteSource, DeleteSourcePiece, InsertPlanItem<'a>, InsertSource,
        InsertSourcePiece<'a>, MakeItemAgain, PutPlanRun<'a>, PutPlanStep<'a>, ResetItem, SetItemsOfTask<'a>, SetSourceItems, WithdrawItems, DeletePlanText, PutPlanText<'a>, DeleteCached, PutCached<'a>, DeleteHandoff, PutHandoff, DeleteChildDependencies, DeleteChildrenWait, DeleteDependency, PutChildrenWait, MoveItems, DropCachedItem, DropCachedItems,
        DeleteSchedule, PutSchedule<'a>, SetSchedule<'a>, DeleteWebSession<'a>, InsertWebSession<'a>,
        AddLost, DeleteDue, DeleteFirstDue, DeleteOldDue, DeleteOrphans, DeleteSomeNotices, DeleteTarget, InsertDue, InsertNotice<'a>,
        InsertTarget<'a>, SetDelivered, SetFailing<'a>,
    }
}

records! {
    /// A query for a lane.
    LaneQuery<'a>: first -> Option<LaneRow> { SelectLane, SelectLaneOf<'a> }
}

records! {
    /// A query for rows of tasks.
    TaskQuery<'a>: all -> Vec<TaskRow> { SelectLeased, SelectNextFailed, SelectReady, SelectReadyInPlan, SelectSessionLeased<'a> }
}

records! {
    /// A query for ids of tasks.
    IdQuery<'a>: all -> Vec<TaskId> {
        SelectDue, SelectExpired, SelectLeasedIds, SelectNextChildren, SelectNextDependents, SelectSessionTasks<'a>, SelectChildrenOfRuns, SelectTrees, SelectUnused,
        SelectLostItems, SelectOpenRuns, SelectOpenTasks, SelectQueuedTasks, SelectBusySteps, SelectHeldTasks<'a>,
        SelectDueSchedules,
    }
}

records! {
    /// A query for one number; those for the existence of a row answer 1 or nothing.
    NumberQuery<'a>: first -> Option<i64> {
        CountAttempts, CountBelow, CountChildren, CountDependencies, CountOpen, FreePages, SelectContinuedBy, SelectFirstFrom, SelectLives, SelectNextDeadline, SelectNextDue,
        SelectLastText, SelectNextExpiry, SelectNoteHas<'a>, SelectPartBefore, SelectReplacement<'a>,
        SelectSameDecision<'a>, SelectSkipped, SelectStaged, SelectVerdict<'a>,
        SelectHandedBefore, SelectHandedFrom, SelectHandedTo, SelectItemWith, SelectAnyStep, SelectAskingSteps, SelectItemByKey<'a>, SelectItemState, SelectMerge<'a>, SelectLastSource, SelectLastStep, SelectSourceItems, SelectSourceOfRun,
        SelectSourceRun, SelectStepAt<'a>, SelectUnnamedSource,
        CountSchedules, SelectNextSchedule,
        SelectLastNotice, SelectTargetId<'a>,
    }
}

records! {
    /// A query for permission requests.
    PermissionQuery<'a>: all -> Vec<Permission> {
        SelectApproval, SelectCall<'a>, SelectLeftBehind<'a>, SelectOpen, SelectOverdue,
    }
}

records! {
    /// A query for a schedule.
    ScheduleQuery<'a>: first -> Option<StoredSchedule> { SelectSchedule<'a>, SelectScheduleById }
}

/// A query for one text of a task.
pub(crate) enum TextQuery {
    /// The error of an attempt, or its outcome; of a long error its beginning.
    AttemptError(SelectAttemptError),
    /// The conversation that an attempt reported, as JSON.
    Conversation(SelectConversation),
    /// The error of a task without an attempt.
    Note(SelectNote),
    /// The options of a task, as JSON.
    Options(SelectOptions),
    /// Usage counted from reports of progress, as JSON.
    PartialUsage(SelectPartialUsage),
    /// The newest report of progress, as JSON.
    Progress(SelectProgress),
}

impl TextQuery {
    /// Carries the query out on a connection.
    pub(crate) fn run(self, conn: &mut SqliteConnection) -> QueryResult<Option<String>> {
        match self {
            TextQuery::AttemptError(query) => super::first(conn, query),
            TextQuery::Conversation(query) => super::first(conn, query),
            TextQuery::Note(query) => super::first(conn, query),
            TextQuery::Options(query) => super::first(conn, query),
            TextQuery::PartialUsage(query) => super::first(conn, query),
            TextQuery::Progress(query) => super::first(conn, query),
        }
    }
}
