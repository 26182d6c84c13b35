//! Limits the frame rate: a change after a pause is drawn at once.

use std::time::Duration;
use tokio::time::Instant;

/// Minimum time between two frames.
const PAUSE: Duration = Duration::from_millis(33);

/// The time of the next frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameClock {
    changed: bool,
    last: Option<Instant>,
}

impl FrameClock {
    /// The screen is out of date.
    pub fn changed(&mut self) {
        self.changed = true;
    }

    /// The time at which the next frame is due; `None` if nothing has changed.
    pub fn due(&self) -> Option<Instant> {
        let earliest = self.last.map(|last| last + PAUSE);
        self.changed.then(|| earliest.unwrap_or_else(Instant::now))
    }

    /// A frame was drawn.
    pub fn drawn(&mut self, now: Instant) {
        self.changed = false;
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_change_is_drawn_at_once_and_the_next_after_a_pause() {
        let mut frames = FrameClock::default();
        assert!(frames.due().is_none());
        frames.changed();
        let now = Instant::now();
        assert!(frames.due().is_some_and(|due| due <= now));
        frames.drawn(now);
        assert!(frames.due().is_none());
        frames.changed();
        assert_eq!(frames.due(), Some(now + PAUSE));
    }
}
