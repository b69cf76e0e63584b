//! Figures beside their budgets.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;

/// One promise of speed or size.
#[derive(Debug)]
struct Budget {
    what: &'static str,
    figure: String,
    budget: String,
    is_kept: bool,
}

/// What was promised, and what was measured.
#[derive(Debug, Default)]
pub struct Budgets(Vec<Budget>);

impl Budgets {
    /// A figure that must not be above its budget.
    pub fn at_most(&mut self, what: &'static str, figure: f64, budget: f64, unit: &str) {
        let is_kept = figure <= budget;
        self.0.push(Budget {
            what,
            figure: format!("{figure:.1} {unit}"),
            budget: format!("≤ {budget} {unit}"),
            is_kept,
        });
    }

    /// A figure that must not be below its budget.
    pub fn at_least(&mut self, what: &'static str, figure: f64, budget: f64, unit: &str) {
        let is_kept = figure >= budget;
        self.0.push(Budget {
            what,
            figure: format!("{figure:.0} {unit}"),
            budget: format!("≥ {budget:.0} {unit}"),
            is_kept,
        });
    }

    /// How many times as fast as another, which must not be below its aim.
    pub fn ratio(&mut self, what: &'static str, figure: f64, aim: f64) {
        self.0.push(Budget {
            what,
            figure: format!("{figure:.2} ×"),
            budget: format!("≥ {aim} ×"),
            is_kept: figure >= aim,
        });
    }

    /// Print the table; the exit code says whether every budget was kept.
    pub fn print(&self) -> Result<ExitCode> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{:<52} {:>16} {:>16}", "budget", "measured", "promised")?;
        for Budget { what, figure, budget, is_kept } in &self.0 {
            let verdict = if *is_kept { "kept" } else { "MISSED" };
            writeln!(out, "{what:<52} {figure:>16} {budget:>16}  {verdict}")?;
        }
        let missed = self.0.iter().filter(|budget| !budget.is_kept).count();
        writeln!(out, "{} of {} budgets kept", self.0.len() - missed, self.0.len())?;
        Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The middle of the figures, so that one odd pass decides nothing.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, 0.5)
}

/// The figure that a share of the sorted figures does not exceed.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1).min(last)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_budget_fails_the_command() {
        let mut budgets = Budgets::default();
        budgets.at_most("latency", 100.0, 120.0, "µs");
        assert_eq!(budgets.print().expect("printed"), ExitCode::SUCCESS);
        budgets.at_least("rate", 11_999.0, 12_000.0, "/s");
        assert_eq!(budgets.print().expect("printed"), ExitCode::FAILURE);
    }

    #[test]
    fn the_median_and_the_tail_of_known_figures() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 0.99), 99.0);
        assert!(median([]).is_nan());
    }
}
