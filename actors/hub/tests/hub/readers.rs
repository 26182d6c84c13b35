//! Readers, which also serialize answers that have nothing to do with the store.

use crate::support::TestHub;
use kirosu_supervision::testkit;
use serde_json::json;

#[test]
fn an_answer_without_the_store_needs_no_connection_to_it() {
    testkit::run(async {
        let directory = tempfile::tempdir().unwrap();
        let (folder, elsewhere) = (directory.path().join("a"), directory.path().join("b"));
        let hub = TestHub::start(&folder);
        let mut client = hub.client().await;
        // No reader can open the store from now on.
        std::fs::rename(&folder, &elsewhere).unwrap();
        let agents = client.call("agents", json!({})).await;
        assert_eq!(agents["agents"], json!([]));
        client.send("list", json!({})).await;
        assert_eq!(client.refusal().await["data"]["code"], "internal");
        drop(client);
        hub.root.shutdown().await;
    });
}
