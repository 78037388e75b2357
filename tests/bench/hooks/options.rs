//! What the command line says about `bench hooks`.

use std::num::NonZeroU32;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub rounds: usize,
    /// Each measurement.
    pub seconds: u32,
    /// None: 1, 10 and 100.
    pub destinations: Option<usize>,
}

impl Options {
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { rounds: 3, seconds: 5, destinations: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} takes a value"))?;
            let wrong = |_| format!("{word} {value}: no number above zero");
            let number = value.parse::<NonZeroU32>().map(NonZeroU32::get).map_err(wrong)?;
            let size = usize::try_from(number).unwrap_or(usize::MAX);
            match *word {
                "--rounds" => options.rounds = size,
                "--seconds" => options.seconds = number,
                "--destinations" => options.destinations = Some(size),
                _ => return Err(format!("no option {word}: --rounds, --seconds, --destinations")),
            }
        }
        Ok(options)
    }

    pub fn lasting(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}
