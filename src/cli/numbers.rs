//! Whole numbers on the command line. Every numeric argument is read here, so that each refusal shows what to write.

use kirosu_config::HubPort;
use kirosu_protocol::TaskId;
use std::ops::RangeInclusive;

/// TCP ports; 0 means any free one.
pub const PORTS: RangeInclusive<i64> = 0..=65_535;

/// A parser of whole numbers in a range. Its refusals name the range and an example.
pub fn whole<T: TryFrom<i64>>(
    range: RangeInclusive<i64>,
    example: i64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.trim().parse().ok().filter(|it| range.contains(it));
        number.and_then(|it| T::try_from(it).ok()).ok_or_else(|| {
            let first = range.start();
            match *range.end() {
                i64::MAX => format!("write a whole number of {first} or more, such as {example}"),
                last => format!("write a whole number from {first} to {last}, such as {example}"),
            }
        })
    }
}

/// Reads the hub's port.
///
/// # Errors
/// The text is neither a port nor `off`; the message says what to write.
pub fn port_or_off(text: &str) -> Result<HubPort, String> {
    match text.trim() {
        "off" => Ok(HubPort::Off),
        number => whole::<u16>(PORTS, 8765)(number)
            .map(HubPort::Number)
            .map_err(|message| format!("{message}, or off")),
    }
}

/// Reads a task's number.
///
/// # Errors
/// The text is not a whole number of 1 or more; the message says what to write.
pub fn task_id(text: &str) -> Result<TaskId, String> {
    let id = text.trim().parse().ok().filter(|id| *id > 0);
    id.ok_or_else(|| "write a task's number, 1 or more, such as 42".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::help;
    use clap::{Arg, Command};
    use std::any::TypeId;

    /// All commands without subcommands, each with its words.
    fn leaves(command: &Command, words: &[String]) -> Vec<(Command, Vec<String>)> {
        let within = |sub: &Command| leaves(sub, &[words, &[sub.get_name().to_owned()]].concat());
        match command.has_subcommands() {
            true => command.get_subcommands().flat_map(within).collect(),
            false => vec![(command.clone(), words.to_vec())],
        }
    }

    fn is_number(arg: &Arg) -> bool {
        let read = arg.get_value_parser().type_id();
        let numbers = [
            TypeId::of::<u8>(),
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<usize>(),
            TypeId::of::<kirosu_config::HubPort>(),
            TypeId::of::<i32>(),
            TypeId::of::<i64>(),
        ];
        numbers.iter().any(|number| read == *number)
    }

    /// The error for a value of an argument.
    fn refusal(words: &[String], arg: &Arg, value: &str) -> String {
        let mut line = vec!["kirosu".to_owned()];
        line.extend_from_slice(words);
        match arg.get_long() {
            Some(long) => line.push(format!("--{long}={value}")),
            None => {
                // Arguments before it accept any word.
                let before = arg.get_index().unwrap_or(1) - 1;
                line.extend(std::iter::repeat_n("word".to_owned(), before));
                line.extend(["--".to_owned(), value.to_owned()]);
            }
        }
        let read = help::command().try_get_matches_from(&line);
        read.expect_err(&line.join(" ")).to_string()
    }

    #[test]
    fn every_bad_number_is_refused_with_an_example() {
        let mut command = help::command();
        command.build();
        let mut seen = 0;
        for (leaf, words) in leaves(&command, &[]) {
            if words.first().is_some_and(|first| first == "help") {
                continue;
            }
            for arg in leaf.get_arguments().filter(|arg| is_number(arg)) {
                seen += 1;
                for value in ["x", "", "1.5", "-5000000", "99999999999999999999"] {
                    let message = refusal(&words, arg, value);
                    let words = format!("{words:?} {} {value:?}: {message}", arg.get_id());
                    assert!(message.contains("write a "), "{words}");
                    assert!(message.contains(", such as "), "{words}");
                    assert!(!message.contains("..="), "{words}");
                }
            }
        }
        // Every verb has the global flag `--port`.
        assert!(seen > 50, "{seen}");
    }

    #[test]
    fn a_tasks_number_is_1_or_more_everywhere() {
        for line in [
            "get 0",
            "logs 0",
            "answer 0 yes",
            "diff 0",
            "apply 0",
            "discard 0",
            "watch --task 0",
            "usage --task 0",
            "usage --tree 0",
            "approvals --task 0",
            "dashboard --task 0",
            "list --before 0",
            "list --parent 0",
            "wait 0",
            "cancel 0",
            "retry 0",
            "results 0",
            "approve 0",
            "reject 0",
            "enqueue x --depends-on 1,0",
        ] {
            let words = ["kirosu"].into_iter().chain(line.split(' '));
            let message = help::command().try_get_matches_from(words).unwrap_err();
            let message = message.to_string();
            assert!(
                message.contains("write a task's number"),
                "{line}: {message}"
            );
        }
    }
}
