//! The swarm against a scripted hub, on one thread with paused time.

mod accounts;
mod kit;

mod crashes;
mod health;
mod live;
mod resize;
mod runs;
mod shortages;
mod stops;
mod waits;
mod workspaces;
