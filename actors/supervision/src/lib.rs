//! A supervision kernel for actix actors: child specs, restarts, backoff, the tree.
