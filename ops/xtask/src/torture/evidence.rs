//! What the host and the mock upstream say after a run.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::{client::Client, setup::Site};

/// A job, as the host shows it at the end.
#[derive(Debug, Deserialize)]
pub struct Job {
    pub id: String,
    pub state: String,
    pub model: String,
    pub prompt: Option<String>,
    pub started: Option<String>,
    pub outputs: Vec<Value>,
    pub error: Option<JobError>,
}

#[derive(Debug, Deserialize)]
pub struct JobError {
    pub code: String,
    pub message: String,
}

impl Job {
    pub fn is_final(&self) -> bool {
        ["succeeded", "failed", "canceled"].contains(&self.state.as_str())
    }

    pub fn instance(&self) -> &str {
        self.model.split('/').next().unwrap_or_default()
    }

    pub fn is_unknown(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.code == "outcome_unknown")
    }
}

/// A line of the mock upstream's bill.
#[derive(Debug, Deserialize)]
struct Charge {
    request_id: Option<String>,
}

/// What the mock upstream charged for.
#[derive(Debug)]
pub struct Bill {
    pub by_request: BTreeMap<String, u32>,
    pub without_id: usize,
    pub repeated: u64,
}

impl Bill {
    pub fn read(site: &Site) -> Result<Self> {
        let mock = site.mock_url();
        let address = mock.trim_start_matches("http://").parse()?;
        let charges = Client::new(address).get("/_mock/charges", "").expect(200)?;
        let lines: Vec<Charge> = serde_json::from_value(charges["lines"].clone())?;
        let distinct = charges["distinct"].as_u64().unwrap_or_default();
        ensure!(distinct == lines.len() as u64, "the mock upstream has forgotten charges");
        let (mut by_request, mut without_id) = (BTreeMap::new(), 0);
        for line in lines {
            match line.request_id {
                Some(id) => *by_request.entry(id).or_default() += 1,
                None => without_id += 1,
            }
        }
        let requests = charges["requests"].as_u64().unwrap_or_default();
        Ok(Self { by_request, without_id, repeated: requests.saturating_sub(distinct) })
    }
}

/// All pages of a list.
pub fn pages(client: &Client, key: &str, path: &str) -> Result<Vec<Job>> {
    let mut all = Vec::new();
    let mut before = String::new();
    loop {
        let page = client.get(&format!("{path}{before}"), key).expect(200)?;
        let jobs: Vec<Job> = serde_json::from_value(page["data"].clone())?;
        all.extend(jobs);
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return Ok(all),
        }
    }
}

/// Milliseconds since 1970 of a time as the API writes it, `2026-11-22T00:00:00.000Z`.
pub fn unix_ms(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // Days from civil, counted from 1 March in eras of 400 years.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let days =
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    u64::try_from((days * 86_400 + seconds) * 1000 + number(20..23)?).ok()
}

#[cfg(test)]
mod tests {
    use super::unix_ms;

    #[test]
    fn times_are_read_as_the_api_writes_them() {
        assert_eq!(unix_ms("1970-01-01T00:00:00.000Z"), Some(0));
        assert_eq!(unix_ms("2000-02-29T00:00:00.123Z"), Some(951_782_400_123));
        assert_eq!(unix_ms("2026-11-22T00:00:00.000Z"), Some(1_795_305_600_000));
        assert_eq!(unix_ms("soon"), None);
    }
}
