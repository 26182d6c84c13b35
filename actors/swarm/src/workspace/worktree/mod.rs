//! `worktree`: each task in a checkout of its own, on a branch of its own.
//!
//! # Theory of operation
//!
//! A task's worktree lies at `WORKSPACES/POOL/task-ID`, on the branch `kirosu/task-ID` of the repository that the pool's
//! workdir lies in; `task-ID.json` beside it is its [`WorktreeRecord`], `task-ID.lock` is held by the process that works in it. A
//! name that is taken by anything else (a branch, a folder, a task of another hub) is left alone, and the next is tried.
//!
//! - `open.rs` makes it, or opens it again for a further attempt: where it was when the attempt before was cut short, anew
//!   from the base when that attempt failed (`going_on.rs` decides, for the conversation too). What the attempt before
//!   has left is kept either way. `claim_name.rs` finds the name, `locks.rs` removes locks of dead gits, `index.rs` mends HEAD
//!   and index and finds conflicts, `sequencer.rs` sets an unfinished rebase and its like aside, `repair.rs` finds what
//!   was moved.
//! - `settle.rs` commits what a run changed, whatever the state the agent left git in (`take.rs`, `staged.rs`), and reports
//!   the rest: content that is only in the folder (`inventory/`), commits that no branch has (`references.rs`, `kept.rs`), changes of
//!   state that all worktrees share (`shared/`). `aside.rs` renames a folder whose content would be lost by a new attempt.
//! - `apply.rs` brings a branch into the checkout, whole or not at all, by a `plan/` that is complete before it begins; `leave.rs` removes a worktree that is not wanted any more
//!   (`turn.rs` waits for other commands that work there);
//!   `look.rs` tells what there is. These are for people, from another process.
//!
//! The checkout that a person works in is never written to but by `apply`, and then only as `git merge` would. An agent
//! can write all of its worktree, so nothing in it decides where git works: every call names its git folder, and runs
//! no hooks. It can also put something else in the folder's place, so `verify.rs` checks before every call that the
//! folder is the one that was made. It is made, and removed, only here, so nothing is removed that was not made here.

mod apply;
mod aside;
mod check;
mod copied;
mod finish;
mod folders;
mod git;
mod index;
mod inventory;
mod keep_staged;
mod kept_refs;
mod lock_wait;
mod locks;
mod make;
mod name_claim;
mod names;
mod open;
mod open_worktree;
mod plan;
mod record;
mod references;
mod remove;
mod repair;
mod repository;
mod sequencer;
mod shared;
mod shortage;
mod stage;
mod status;
mod verify;

pub use apply::{ApplyMode, ApplyOutcome, apply};
pub use check::base;
pub(crate) use check::check;
pub(crate) use finish::settle;
pub use git::{Git, GitFault};
pub use index::Conflict;
pub(crate) use inventory::submodules;
pub use inventory::{Inventory, Leftover, LeftoverReason};
pub(crate) use open::open;
pub(crate) use open_worktree::OpenWorktree;
pub use record::{KeptConversation, WorktreeLock, WorktreeRecord, WorktreeState};
pub use references::{Reference, moved_to};
pub(crate) use remove::abandon;
pub use remove::{Pruned, Removed, discard, prune};
pub use repair::{locate, repair};
pub use shared::{Concern, concerns};
pub use status::{FileChange, changes, diff_command, find, size, tip};
pub use verify::FolderId;
