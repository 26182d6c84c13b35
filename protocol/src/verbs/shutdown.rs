//! `shutdown`: drains and stops the hub, after the answer.
//!
//! ```text
//! {"id":1,"method":"shutdown"}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

no_params!(ShutdownParams, Shutdown -> super::Done);
