//! An invariant, and whether it holds.

/// How much of what is wrong is printed.
const PRINTED_MAX: usize = 10;

/// An invariant with its figures.
#[derive(Debug)]
pub struct Verdict {
    name: &'static str,
    figures: String,
    /// What contradicts it.
    wrong: Vec<String>,
}

impl Verdict {
    /// It holds if nothing is wrong.
    pub fn new(name: &'static str, figures: String, wrong: Vec<String>) -> Self {
        Self { name, figures, wrong }
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Print it in a line, and below it what is wrong.
    pub fn print(&self) {
        println!("{} {}: {}", if self.holds() { "ok  " } else { "FAIL" }, self.name, self.figures);
        for wrong in self.wrong.iter().take(PRINTED_MAX) {
            println!("       {wrong}");
        }
        if self.wrong.len() > PRINTED_MAX {
            println!("       and {} more", self.wrong.len() - PRINTED_MAX);
        }
    }
}
