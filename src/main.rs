//! Kirosu's front door.
fn main() {}
