//! Which events belong to which future: a restore ends one, and begins another at the moment of the backup.
//!
//! Each start of the hub has a `boot_id`, and each event names the start that it was sent to. The tool's own events (starts,
//! backups) determine, for the last future and for each that a restore has ended, which starts led to it: all earlier ones, and
//! where a backup was restored, the state when it was taken. A call that overlaps the backup may be on either side of it.

use super::history::{Call, Event, Outcome};
use std::collections::HashMap;

/// Whether a future contains a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is part of it.
    Kept,
    /// It is not: no trace of it may be there.
    Lost,
    /// Either, as a whole.
    Unsure,
}

/// The part of one start of the hub that a future contains.
#[derive(Clone, Copy, Debug)]
enum Part {
    Whole,
    /// The state at a backup, which was requested and answered at these times.
    Until(u64, u64),
    /// Nothing: what begun after this moment left no trace.
    Nothing(u64),
}

/// A start of the hub.
struct Start<'a> {
    boot: &'a str,
    /// The hub before was gone.
    begun: u64,
    restored: Option<&'a str>,
}

/// A future, and how it ended.
#[derive(Debug)]
pub struct World {
    /// By `boot_id`; empty where nothing is known of starts: then all is kept.
    parts: HashMap<String, Part>,
    /// The backup that was put in its place, if any.
    pub ended_by: Option<String>,
}

/// All futures in their order: those that a restore has ended, and the last.
pub fn worlds(events: &[Event]) -> Vec<World> {
    let mut starts: Vec<Start<'_>> = events.iter().filter_map(start).collect();
    starts.sort_by_key(|start| start.begun);
    let backups: HashMap<&str, &Event> = events.iter().filter_map(backup).collect();
    let mut worlds: Vec<World> = (0..starts.len())
        .filter_map(|at| {
            let next = starts.get(at + 1);
            let name = next.map(|next| next.restored);
            match name {
                Some(None) => None,
                name => Some(World {
                    parts: parts(&starts, at, next.map_or(u64::MAX, |it| it.begun), &backups),
                    ended_by: name.flatten().map(str::to_owned),
                }),
            }
        })
        .collect();
    if worlds.is_empty() {
        worlds.push(World {
            parts: HashMap::new(),
            ended_by: None,
        });
    }
    worlds
}

fn start(event: &Event) -> Option<Start<'_>> {
    match &event.call {
        Call::Start { restored } => Some(Start {
            boot: event.boot.as_deref()?,
            begun: event.begun,
            restored: restored.as_deref(),
        }),
        _ => None,
    }
}

fn backup(event: &Event) -> Option<(&str, &Event)> {
    match &event.call {
        Call::Backup { name } => Some((name.as_str(), event)),
        _ => None,
    }
}

/// The way back from a start that ended at this moment.
fn parts(
    starts: &[Start<'_>],
    last: usize,
    ended: u64,
    backups: &HashMap<&str, &Event>,
) -> HashMap<String, Part> {
    let mut parts = vec![Part::Nothing(ended); starts.len()];
    let (mut at, mut part) = (last, Part::Whole);
    loop {
        parts[at] = part;
        let taken = starts[at].restored.and_then(|name| backups.get(name));
        let boot = taken.and_then(|backup| backup.boot.as_deref());
        let from = boot.and_then(|boot| starts.iter().position(|start| start.boot == boot));
        match (taken, from.filter(|from| *from < at)) {
            (Some(backup), Some(from)) => {
                parts[from + 1..at].fill(Part::Nothing(backup.ended));
                (at, part) = (from, Part::Until(backup.begun, backup.ended));
            }
            _ if at == 0 => break,
            _ => (at, part) = (at - 1, Part::Whole),
        }
    }
    let boots = starts.iter().map(|start| start.boot.to_owned());
    boots.zip(parts).collect()
}

impl World {
    /// Whether it contains a call.
    pub fn fate(&self, event: &Event) -> Fate {
        let boot = event.boot.as_deref();
        match &event.call {
            // Sent several times without an answer, it may have taken effect at an earlier start.
            _ if event.outcome == Outcome::Unknown && event.tries > 1 => self.fate_at(None, event),
            // Unlike other calls, it takes effect each time anew: the leases in its answer are of the start that gave it.
            Call::Lease { .. } if self.has_nothing_of(boot) => Fate::Lost,
            _ => self.fate_at(boot, event),
        }
    }

    fn has_nothing_of(&self, boot: Option<&str>) -> bool {
        let part = boot.and_then(|boot| self.parts.get(boot));
        matches!(part, Some(Part::Nothing(_)))
    }

    fn fate_at(&self, boot: Option<&str>, event: &Event) -> Fate {
        if self.parts.is_empty() {
            return Fate::Kept;
        }
        match boot.and_then(|boot| self.parts.get(boot)) {
            None => Fate::Unsure,
            Some(Part::Whole) => Fate::Kept,
            Some(Part::Until(asked, _)) if event.ended < *asked => Fate::Kept,
            // It may have taken effect at an earlier start, and been answered at this one.
            Some(Part::Until(_, after) | Part::Nothing(after)) => match event.begun > *after {
                true => Fate::Lost,
                false => Fate::Unsure,
            },
        }
    }

    /// The history as this future has it: without what is lost, and with an unknown outcome where its part is unknown.
    pub fn project(&self, events: &[Event]) -> Vec<Event> {
        let seen = |event: &Event| {
            let fate = match &event.call {
                // Two answers are compared where both belong to this future.
                Call::Twice { second_boot, .. } => {
                    let second = self.fate_at(second_boot.as_deref(), event);
                    match (self.fate(event), second) {
                        (Fate::Kept, Fate::Kept) => Fate::Kept,
                        _ => Fate::Lost,
                    }
                }
                _ => self.fate(event),
            };
            let outcome = match fate {
                Fate::Lost => return None,
                Fate::Unsure => Outcome::Unknown,
                Fate::Kept => event.outcome,
            };
            Some(Event {
                outcome,
                ..event.clone()
            })
        };
        events.iter().filter_map(seen).collect()
    }

    /// Whether a start belongs to the run.
    pub fn knows(&self, boot: &str) -> bool {
        self.parts.is_empty() || self.parts.contains_key(boot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(begun: u64, boot: &str, call: Call) -> Event {
        Event {
            speaker: 1,
            begun,
            ended: begun + 5,
            wall_ms: 0,
            tries: 1,
            boot: Some(boot.to_owned()),
            call,
            outcome: Outcome::Ok,
        }
    }

    fn start(begun: u64, boot: &str, restored: Option<&str>) -> Event {
        let restored = restored.map(str::to_owned);
        event(begun, boot, Call::Start { restored })
    }

    fn backup(begun: u64, boot: &str, name: &str) -> Event {
        let name = name.to_owned();
        event(begun, boot, Call::Backup { name })
    }

    fn cancel(begun: u64, boot: &str) -> Event {
        event(begun, boot, Call::Cancel { task: 1 })
    }

    /// The second backup is of the future that the first restore began.
    fn run() -> Vec<Event> {
        vec![
            start(0, "a", None),
            backup(100, "a", "one"),
            start(200, "b", None),
            start(300, "c", Some("one")),
            backup(400, "c", "two"),
            start(500, "d", Some("two")),
        ]
    }

    #[test]
    fn each_future_has_what_led_to_it() {
        let worlds = worlds(&run());
        let ended: Vec<_> = worlds.iter().map(|it| it.ended_by.as_deref()).collect();
        assert_eq!(ended, [Some("one"), Some("two"), None]);
        let cases = [
            // Before the first backup, while it was taken, after it.
            (cancel(50, "a"), [Fate::Kept, Fate::Kept, Fate::Kept]),
            (cancel(98, "a"), [Fate::Kept, Fate::Unsure, Fate::Unsure]),
            (cancel(110, "a"), [Fate::Kept, Fate::Lost, Fate::Lost]),
            // After a kill between backup and restore.
            (cancel(250, "b"), [Fate::Kept, Fate::Lost, Fate::Lost]),
            // Begun before the first backup, answered after that kill: it may have been carried out before.
            (cancel(50, "b"), [Fate::Kept, Fate::Unsure, Fate::Unsure]),
            (cancel(350, "c"), [Fate::Lost, Fate::Kept, Fate::Kept]),
            (cancel(450, "c"), [Fate::Lost, Fate::Kept, Fate::Lost]),
            (cancel(550, "d"), [Fate::Lost, Fate::Lost, Fate::Kept]),
            // Answered by the last, but begun in the first: it may have been carried out there too.
            (cancel(250, "d"), [Fate::Unsure, Fate::Unsure, Fate::Kept]),
        ];
        for (event, expected) in cases {
            let fates: Vec<Fate> = worlds.iter().map(|it| it.fate(&event)).collect();
            assert_eq!(fates, expected, "{event:?}");
        }
    }

    #[test]
    fn one_backup_restored_twice_ends_two_futures() {
        let mut run = run();
        run[5] = start(500, "d", Some("one"));
        let worlds = worlds(&run);
        let fates = |event: &Event| worlds.iter().map(|it| it.fate(event)).collect::<Vec<_>>();
        assert_eq!(
            fates(&cancel(350, "c")),
            [Fate::Lost, Fate::Kept, Fate::Lost]
        );
        assert_eq!(fates(&cancel(50, "a")), [Fate::Kept; 3]);
    }

    #[test]
    fn a_call_without_an_answer_belongs_to_where_it_was_sent_if_it_was_sent_once() {
        let worlds = worlds(&run());
        let mut cut = cancel(110, "a");
        cut.outcome = Outcome::Unknown;
        assert_eq!(worlds[2].fate(&cut), Fate::Lost);
        cut.tries = 2;
        assert_eq!(worlds[2].fate(&cut), Fate::Unsure);
        let projected = worlds[2].project(&[cancel(50, "a"), cancel(98, "a"), cancel(110, "a")]);
        let outcomes: Vec<_> = projected.iter().map(|it| it.outcome).collect();
        assert_eq!(outcomes, [Outcome::Ok, Outcome::Unknown]);
    }

    #[test]
    fn a_lease_is_of_the_start_that_gave_it() {
        let worlds = worlds(&run());
        let lease = Call::Lease {
            session: false,
            most: 1,
            tasks: Vec::new(),
        };
        let fates = |event: &Event| worlds.iter().map(|it| it.fate(event)).collect::<Vec<_>>();
        // Asked for in the first future, given in the last.
        assert_eq!(
            fates(&event(250, "d", lease.clone())),
            [Fate::Lost, Fate::Lost, Fate::Kept]
        );
        assert_eq!(
            fates(&event(50, "b", lease)),
            [Fate::Kept, Fate::Lost, Fate::Lost]
        );
    }

    #[test]
    fn without_a_word_of_starts_all_is_kept() {
        let worlds = worlds(&[]);
        assert_eq!(worlds.len(), 1);
        assert_eq!(worlds[0].fate(&cancel(50, "a")), Fate::Kept);
    }
}
