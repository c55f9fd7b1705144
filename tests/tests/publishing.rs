//! Publishing, syncing, rolling back and all other changes of what groups run, as a caller of the
//! API sees them.

mod answers;
mod applied;
mod binding;
mod conflicts;
mod desk;
mod discovered;
mod history;
mod preview;
mod rollback;
mod switching;
mod syncing;
mod unversioned;
mod versions;
