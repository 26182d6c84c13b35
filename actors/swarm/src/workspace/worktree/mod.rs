//! `worktree`: each task has a checkout and a branch of its own.
//!
//! # Theory of operation
//!
//! A task's worktree is `WORKSPACES/POOL/task-ID`, on the branch `kirosu/task-ID` of the repository that contains the
//! pool's workdir. `task-ID.json` next to it is its [`Worktree`]; `task-ID.lock` is held by the process that
//! works in it. A name that is taken by anything else (a branch, a folder, a task of another hub) is left alone, and
//! the next one is tried.
//!
//! - `open.rs` makes it, or opens it for a further attempt: in its present state if the previous attempt was cut
//!   short, from the base if that failed (`resume.rs` decides, for the conversation too). The previous attempt's work
//!   is kept either way. `reopen.rs` opens that of another task, which this one continues. `name_claim.rs` finds the name, `locks.rs` removes locks of dead gits, `index.rs` repairs
//!   HEAD and index and finds conflicts, `sequencer.rs` sets an unfinished rebase and the like aside, `repair.rs`
//!   finds what was moved.
//! - `finish.rs` commits a run's changes, whatever the state the agent left git in (`stage.rs`, `keep_staged.rs`),
//!   and reports the rest: content that is only in the folder (`inventory/`), commits that no branch has
//!   (`references.rs`, `kept_refs.rs`), changes of shared state (`shared/`). `aside.rs` renames a folder whose
//!   content a new attempt would lose.
//! - `apply.rs` merges a branch into the checkout, completely or not at all, by a `plan/` that is complete before it
//!   begins; `remove.rs` removes a worktree (`lock_wait.rs` waits for other commands there); `status.rs` lists
//!   worktrees and changes. These serve people, from another process.
//!
//! Only `apply` writes to the checkout that a person works in, and only as `git merge` would. An agent can write all
//! of its worktree, so nothing in it decides where git works: every call names its git folder, and runs no hooks. An
//! agent can also replace the folder, so `verify.rs` checks before every call that the folder is the one that was
//! made. Worktrees are made and removed only here, so nothing else is removed.

mod apply;
mod aside;
mod attempt;
mod check;
mod copied;
mod finish;
mod folders;
mod git;
mod git_fault;
mod git_settings;
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
mod own_git_dir;
mod plan;
mod programs;
mod record;
mod references;
mod remove;
mod reopen;
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
pub(crate) use finish::finish;
pub use git::{Git, GitFault};
pub use index::Conflict;
pub use inventory::{Inventory, Leftover, LeftoverReason};
pub(crate) use open::open;
pub(crate) use open_worktree::OpenWorktree;
pub(crate) use own_git_dir::{OwnGitDir, WorkTree};
pub use record::{KeptConversation, Worktree, WorktreeLock, WorktreeState};
pub use references::{Reference, moved_to};
pub(crate) use remove::abandon;
pub use remove::{Pruned, Removed, discard, prune};
pub(crate) use reopen::reopen;
pub use repair::{locate, repair};
pub use shared::{Concern, concerns};
pub use status::{FileChange, changes, diff_command, find, size, tip};
pub use verify::FolderId;
