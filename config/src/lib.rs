//! Kirosu's settings: as written, merged, validated.
