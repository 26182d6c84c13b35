//! When a frame is drawn: at once after a rest, and never faster than the eye.

use std::time::Duration;
use tokio::time::Instant;

/// From one frame to the next, at least.
const PAUSE: Duration = Duration::from_millis(33);

/// Which frame is owed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frames {
    changed: bool,
    last: Option<Instant>,
}

impl Frames {
    /// What is on the screen is old.
    pub fn changed(&mut self) {
        self.changed = true;
    }

    /// When the next frame has to be drawn; none: nothing has changed.
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
    async fn the_first_change_is_drawn_at_once_and_the_next_not_too_soon() {
        let mut frames = Frames::default();
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
