//! Kills a hub under load and checks what is left.
