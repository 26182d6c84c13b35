//! Folders, contexts, and the contents of a job.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::kit::{Call, Does, Stub, Swarm, eventually, grant, pool_of, run, task};
use crate::{PoolOptions, WorkspaceMode};

fn pool(dir: &Path, workspace: WorkspaceMode) -> PoolOptions {
    PoolOptions {
        workspace,
        workspaces_dir: dir.to_owned(),
        ..pool_of("p", Arc::new(Stub::new(Does::ReturnsJob)))
    }
}

/// The job as the provider got it, from the ack's result.
fn job_of(ack: &Call) -> Value {
    serde_json::from_str(ack.param("result")).unwrap()
}

#[test]
fn a_job_has_the_folders_context_its_own_limits_and_the_pools_rest() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        fs::create_dir_all(base.join("sub/.kiro")).unwrap();
        fs::write(base.join("sub/.kiro/context.md"), "House rules.\n").unwrap();
        let mut shared = pool(&base, WorkspaceMode::Shared);
        shared.workdir = Some(base.clone());
        shared.model = Some("small".into());
        shared.timeouts.total = Some(Duration::from_secs(60));
        let mut swarm = Swarm::start(vec![shared]);
        let mut wants = task(4, 2, "x");
        wants["system_prompt"] = json!("Be brief.");
        wants["workdir"] = json!("sub");
        wants["timeout_ms"] = json!(5000);
        swarm.hub.park().await.answer(grant(wants.clone()));
        let ack = swarm.hub.expect("ack").await;
        let job = job_of(&ack);
        ack.ok();
        assert_eq!(job["system_prompt"], "House rules.\n\nBe brief.");
        assert_eq!(
            (&job["model"], &job["total"]),
            (&json!("small"), &json!(5000))
        );
        assert_eq!(job["workdir"], json!(base.join("sub")));
        for (workdir, class) in [
            ("/", "refused_by_policy"),
            ("..", "refused_by_policy"),
            ("/nowhere/at/all", "refused_by_policy"),
            ("nowhere", "bad_input"),
        ] {
            wants["workdir"] = json!(workdir);
            swarm.hub.expect("lease").await.answer(grant(wants.clone()));
            let ack = swarm.hub.expect("ack").await;
            assert_eq!(ack.param("class"), class, "{workdir}");
            ack.ok();
        }
        swarm.kill().await;
    });
}

#[test]
fn a_folder_made_for_a_task_goes_when_its_result_is_confirmed_and_not_before() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let mut swarm = Swarm::start(vec![pool(&base, WorkspaceMode::Ephemeral)]);
        swarm.hub.park().await.answer(grant(task(4, 2, "x")));
        let ack = swarm.hub.expect("ack").await;
        let made = base.join("p/task-4-1");
        assert_eq!(job_of(&ack)["workdir"], json!(made));
        ack.cut();
        swarm.hub.welcome(&[(4, 2)]).await;
        let ack = swarm.hub.expect("ack").await;
        assert!(made.is_dir(), "nobody has confirmed it");
        ack.ok();
        eventually("the folder is gone", || !made.exists()).await;
        // An existing folder is neither removed nor used.
        let found = base.join("p/task-5-1");
        fs::create_dir_all(&found).unwrap();
        swarm
            .hub
            .expect("lease")
            .await
            .answer(grant(task(5, 1, "x")));
        let ack = swarm.hub.expect("ack").await;
        assert_eq!(job_of(&ack)["workdir"], json!(base.join("p/task-5-1.2")));
        ack.ok();
        swarm.hub.expect("lease").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(found.is_dir());
        swarm.kill().await;
    });
}

#[test]
fn a_folder_made_for_a_task_that_is_refused_goes_at_once() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let mut swarm = Swarm::start(vec![pool(&base, WorkspaceMode::Ephemeral)]);
        let mut wants = task(4, 2, "x");
        wants["accept"] = json!({"command": ["true"]});
        swarm.hub.park().await.answer(grant(wants));
        let ack = swarm.hub.expect("ack").await;
        assert_eq!(ack.param("class"), "refused_by_policy");
        assert!(base.join("p").is_dir() && !base.join("p/task-4-1").exists());
        ack.ok();
        swarm.kill().await;
    });
}

#[test]
fn each_session_has_its_folder_and_keeps_it() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let mut swarm = Swarm::start(vec![pool(&base, WorkspaceMode::Isolated)]);
        swarm.hub.park().await.answer(grant(task(4, 2, "x")));
        let ack = swarm.hub.expect("ack").await;
        let own = base.join("p/session-1");
        assert_eq!(job_of(&ack)["workdir"], json!(own));
        ack.ok();
        swarm.hub.expect("lease").await;
        assert!(own.is_dir());
        swarm.kill().await;
    });
}

#[test]
fn a_pool_without_its_folder_takes_no_tasks_and_says_what_to_do() {
    run(async {
        let mut shared = pool(Path::new("/"), WorkspaceMode::Shared);
        shared.workdir = Some("/nowhere/at/all".into());
        let mut swarm = Swarm::start(vec![shared]);
        swarm.hub.welcome(&[]).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(!swarm.hub.has("lease"));
        let answer = swarm.handle.pools(Default::default()).await.unwrap();
        let note = answer.pools[0].note.clone().unwrap();
        assert!(note.contains("create it or name another"), "{note}");
        swarm.kill().await;
    });
}

#[test]
fn a_pool_whose_folder_comes_back_takes_tasks_within_seconds() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("later");
        let mut shared = pool(dir.path(), WorkspaceMode::Shared);
        shared.workdir = Some(folder.clone());
        let mut swarm = Swarm::start(vec![shared]);
        swarm.hub.welcome(&[]).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(!swarm.hub.has("lease"));
        fs::create_dir(&folder).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(swarm.hub.has("lease"));
        swarm.kill().await;
    });
}
