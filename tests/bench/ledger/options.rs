//! What the command line says about `bench ledger`.

use std::num::NonZeroU32;
use std::time::Duration;

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Postgres,
    Sqlite,
    Scale,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub rounds: usize,
    /// Each measurement.
    pub seconds: u32,
    /// None: all of them.
    pub only: Option<Part>,
    /// Of the table, counted from 1; None: all of them.
    pub variant: Option<usize>,
    /// Of the large books.
    pub entries: u64,
}

impl Options {
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { rounds: 5, seconds: 5, only: None, variant: None, entries: 10_000_000 };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} takes a value"))?;
            let wrong = |_| format!("{word} {value}: no number above zero");
            let number = || value.parse::<NonZeroU32>().map(NonZeroU32::get).map_err(wrong);
            let size = || number().map(|n| usize::try_from(n).unwrap_or(usize::MAX));
            match *word {
                "--rounds" => options.rounds = size()?,
                "--seconds" => options.seconds = number()?,
                "--entries" => options.entries = number()?.into(),
                "--variant" => options.variant = Some(size()?),
                "--only" => options.only = Some(part(value)?),
                _ => {
                    return Err(format!(
                        "no option {word}: --rounds, --seconds, --entries, --variant, --only"
                    ));
                }
            }
        }
        Ok(options)
    }

    pub fn includes(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }

    pub fn lasting(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

fn part(name: &str) -> Result<Part, String> {
    match name {
        "pg" => Ok(Part::Postgres),
        "sqlite" => Ok(Part::Sqlite),
        "scale" => Ok(Part::Scale),
        _ => Err(format!("--only {name}: pg, sqlite or scale")),
    }
}
