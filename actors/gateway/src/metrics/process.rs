//! Metrics of the process, under the usual names of exporters.

use kirosu_protocol::Metric;
use std::fs;

/// Clock ticks per second in `/proc`: 100 on all supported systems.
const TICKS: f64 = 100.0;

/// The metrics of this process. A metric that cannot be read is left out.
pub(super) fn figures() -> Vec<Metric> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let system = fs::read_to_string("/proc/stat").unwrap_or_default();
    let open = fs::read_dir("/proc/self/fd").map(|files| files.count() as f64);
    let found = [
        (
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            cpu_seconds(&stat),
        ),
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            number_after(&status, "VmRSS:").map(|kib| kib * 1024.0),
        ),
        (
            "process_open_fds",
            "Number of open file descriptors.",
            open.ok(),
        ),
        (
            "process_max_fds",
            "Maximum number of open file descriptors.",
            number_after(&limits, "Max open files"),
        ),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            number_after(&system, "btime")
                .zip(field(&stat, 22))
                .map(|(boot, start)| boot + start / TICKS),
        ),
    ];
    let metric = |(name, help, value): (&str, &str, Option<f64>)| {
        value.map(|value| super::series::plain(name, help, value))
    };
    found.into_iter().filter_map(metric).collect()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS)
}

/// A field of `/proc/self/stat` by its number in proc(5). The second field is a name in brackets with arbitrary
/// characters.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(number - 3)?.parse().ok()
}

/// The first number on the line that begins with `words`.
fn number_after(text: &str, words: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(words))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_after_any_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 4 0 1234 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(field(stat, 22), Some(1234.0));
        assert_eq!(number_after("VmRSS:\t  12 kB\n", "VmRSS:"), Some(12.0));
        assert_eq!(
            number_after("Max open files unlimited", "Max open files"),
            None
        );
    }
}
