//! Folders for runs of another user than that of this process.

use std::path::Path;

use kirosu_providers::{Cancel, EventSink, Program, ProgramExit, RunUser};

use super::NoFolder;
use super::folder::cannot_make;
use crate::options::{PoolOptions, WorkspaceMode};

/// Gives a private folder to the pool's user, if it has one. Blocks on the file system.
///
/// # Errors
/// The owner cannot be changed.
pub(super) fn give(options: &PoolOptions, folder: &Path) -> Result<(), NoFolder> {
    match &options.bounds.user {
        Some(user) => user
            .own(folder)
            .map_err(|error| cannot_make(folder, &error)),
        None => Ok(()),
    }
}

/// Lets the pool's user reach its private folders. They are in the data folder by default, whose files stay closed to it.
///
/// # Errors
/// A mode cannot be changed.
pub(super) fn open_way(options: &PoolOptions, pool: &Path) -> Result<(), NoFolder> {
    if options.bounds.user.is_none() {
        return Ok(());
    }
    let own = match options.workdir {
        None => pool.ancestors().skip(1).take(2),
        Some(_) => pool.ancestors().skip(1).take(0),
    };
    for folder in own.chain([pool]) {
        RunUser::open_way(folder).map_err(|error| cannot_make(folder, &error))?;
    }
    Ok(())
}

/// Checks, as the pool's user, that it can use the folder.
///
/// # Errors
/// Advice for a person.
pub(super) async fn check(options: &PoolOptions, folder: &Path) -> Result<(), String> {
    let (Some(user), Some(containment)) = (&options.bounds.user, options.bounded()) else {
        return Ok(());
    };
    let shown = folder.display();
    // Private folders are made for the user, who must only reach them.
    let needed: &[&str] = match options.workspace {
        WorkspaceMode::Shared => &["-w", "-x"],
        _ => &["-x"],
    };
    for option in needed {
        let argv = ["test", option, &shown.to_string()].map(str::to_owned);
        let program = Program::new(argv.to_vec(), "/");
        let end = program
            .run(&containment, &EventSink::discard(), Cancel::never())
            .await;
        match end.exit {
            ProgramExit::Code(0) | ProgramExit::Short(_) => {}
            ProgramExit::Code(1) => {
                let right = if *option == "-w" { "write to" } else { "enter" };
                return Err(format!(
                    "user {} may not {right} {shown}; give it the right, also to the folders above, or name another workdir",
                    user.name
                ));
            }
            exit => return Err(format!("no program runs as user {}: {exit}", user.name)),
        }
    }
    Ok(())
}
