//! Kirosu's durable task queue: one SQLite file, one writer.
