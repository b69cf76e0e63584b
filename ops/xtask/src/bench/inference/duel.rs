//! One engine beside another: the same files, the same threads, a pass of each in turn.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bench::report::{Budgets, median};
use crate::{cache::Cache, process, progress::say, python_venv};

/// An engine that is compared with.
#[derive(Debug)]
pub struct Peer {
    pub name: &'static str,
    /// The text of a requirements file.
    pub requirements: &'static str,
    /// In the environment for packages that are built from source.
    pub settings: &'static [(&'static str, &'static str)],
    /// One pass, as Python source, which takes the arguments of ours and prints the same figures.
    pub pass: &'static str,
}

/// A figure that both print, higher where it is faster.
#[derive(Debug)]
pub struct Figure {
    pub what: &'static str,
    /// In front of its `=`.
    pub name: &'static str,
    pub unit: &'static str,
    /// How many times as fast ours is to be.
    pub aim: f64,
}

/// What is measured.
#[derive(Debug)]
pub struct Duel {
    /// The word of `speed` for it.
    pub kind: &'static str,
    pub peer: Peer,
    pub figures: &'static [Figure],
}

impl Duel {
    /// Measure `passes` of each in turn, and hold the ratios of their medians against the aims.
    pub fn run(
        &self,
        cache: &Cache,
        speed: &Path,
        arguments: &[OsString],
        passes: usize,
        budgets: &mut Budgets,
    ) -> Result<()> {
        let Peer { name, requirements, settings, pass } = &self.peer;
        say(format_args!("{name}: installing it, which takes minutes the first time"));
        let python = python_venv::open_built(cache, name, requirements, settings)?.join("bin/python");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 1..=passes {
            let mut command = Command::new(speed);
            command.arg(self.kind).args(arguments);
            ours.push(self.figures(command)?);
            let mut command = Command::new(&python);
            command.args(["-c", pass]).args(arguments);
            theirs.push(self.figures(command)?);
            let (ours, theirs) = (ours.last(), theirs.last());
            println!("{} pass {round}: {ours:.2?} beside {name}'s {theirs:.2?}", self.kind);
        }
        for (at, Figure { what, unit, aim, .. }) in self.figures.iter().enumerate() {
            let middle = |of: &[Vec<f64>]| median(of.iter().filter_map(|figures| figures.get(at).copied()));
            let (ours, theirs) = (middle(&ours), middle(&theirs));
            println!("{what}, beside {name}: {ours:.2} and {theirs:.2} {unit}, medians of {passes} passes");
            budgets.ratio(what, ours / theirs, *aim);
        }
        Ok(())
    }

    fn figures(&self, mut command: Command) -> Result<Vec<f64>> {
        let printed = process::capture(&mut command)?;
        let figure = |Figure { name, .. }: &Figure| {
            let value =
                printed.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            let value: f64 = value.with_context(|| format!("no {name} in {printed:?}"))?.parse()?;
            ensure!(value > 0.0 && value.is_finite(), "{name} is no speed in {printed:?}");
            Ok(value)
        };
        self.figures.iter().map(figure).collect()
    }
}
