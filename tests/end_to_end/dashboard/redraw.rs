//! Ctrl-L draws everything anew, whatever others have written onto the screen, and the dashboard goes on.

use super::{SIZES, hub, open};

#[test]
fn ctrl_l_draws_everything_anew_without_another_key() {
    let hub = hub();
    let mut client = hub.client();
    client.enqueue_with(serde_json::json!({"prompt": "the first of all", "type": "human"}));
    let mut tmux = open(&hub, SIZES[0], "");
    tmux.see(&["the first of all", "live"]);
    for round in 0..3 {
        tmux.write("\x1b[5;1Hrubbish of another program");
        tmux.see(&["rubbish"]);
        tmux.keys(&["C-l"]);
        tmux.gone(&["rubbish"]);
        // It lives on, and shows what happens from now on; no key was pressed meanwhile.
        let prompt = format!("round {round}");
        client.enqueue_with(serde_json::json!({"prompt": prompt, "type": "human"}));
        tmux.see(&["the first of all", &prompt, "live"]);
    }
    tmux.resize(SIZES[1]);
    tmux.keys(&["C-l"]);
    tmux.see(&["the first of all", "live"]);
    tmux.keys(&["q"]);
    tmux.see(&["[exit 0]"]);
}
