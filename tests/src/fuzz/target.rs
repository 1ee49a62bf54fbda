//! The targets, one file each.

mod access_log;
mod chunks;
mod manifest;
mod request;
mod response;
mod snapshot;

use super::Target;

/// All of them.
pub const TARGETS: [&Target; 6] = [
    &manifest::TARGET,
    &request::TARGET,
    &chunks::TARGET,
    &response::TARGET,
    &snapshot::TARGET,
    &access_log::TARGET,
];

/// A few places within `length` that differ from input to input, in order, ends left out.
fn places(random: &mut fastrand::Rng, length: usize) -> Vec<usize> {
    const MOST: usize = 4;
    let mut places: Vec<_> = (0..random.usize(..=MOST))
        .map(|_| random.usize(..=length))
        .filter(|place| (1..length).contains(place))
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// The first words of a message, before it quotes the input.
fn class(message: &str) -> String {
    const WORDS: usize = 3;
    let own = message.split(['\'', '"']).next().unwrap_or_default();
    let words = own.split(|char: char| !char.is_ascii_alphabetic());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).take(WORDS).collect();
    words.join(" ")
}
