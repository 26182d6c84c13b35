//! Sizes in bytes: `16 MiB`, `64k`, `1048576`.

/// Reads a size. Units: `B`, `kB`/`KB`/`MB`/`GB` (powers of 1000), `KiB`/`MiB`/`GiB` and the bare letters `K`, `M`, `G`
/// (powers of 1024); without a unit, bytes. Case is ignored. `None` means that the text is not a size, or beyond `u64`.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Formats a size in bytes with the largest unit that divides it: `16 MiB`.
#[must_use]
pub fn format(bytes: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("16 MiB", Some(16 << 20)),
            ("64k", Some(64 << 10)),
            ("5 kb", Some(5000)),
            (" 1048576 ", Some(1 << 20)),
            ("7 B", Some(7)),
            ("MiB", None),
            ("-1", None),
            ("1.5 GiB", None),
            ("99999999999 GiB", None),
            ("3 parsecs", None),
        ] {
            assert_eq!(parse(text), bytes, "{text}");
        }
        for bytes in [0, 7, 1 << 10, 1 << 20, 3 << 30, (1 << 20) + 1] {
            assert_eq!(parse(&format(bytes)), Some(bytes));
        }
    }
}
