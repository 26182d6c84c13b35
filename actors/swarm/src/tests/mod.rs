//! The swarm against a scripted hub, on one thread with paused time.

mod kit;
mod lanes;

mod crashes;
mod health;
mod live;
mod resize;
mod runs;
mod stops;
mod workspaces;
