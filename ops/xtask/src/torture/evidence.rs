//! What the host and the mock upstream say after a run.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    account::Account,
    client::Client,
    prices::Usage,
    setup::{Site, User},
};

/// A job, as the host shows it at the end.
#[derive(Debug, Deserialize)]
pub struct Job {
    pub id: String,
    /// The place of its owner among the users.
    #[serde(skip)]
    pub user: usize,
    pub state: String,
    pub model: String,
    pub prompt: Option<String>,
    pub started: Option<String>,
    pub finished: Option<String>,
    pub outputs: Vec<Value>,
    pub usage: Vec<Usage>,
    pub cost: Option<u64>,
    pub held: u64,
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

    pub fn has_succeeded(&self) -> bool {
        self.state == "succeeded"
    }

    pub fn instance(&self) -> &str {
        self.model.split('/').next().unwrap_or_default()
    }

    pub fn is_unknown(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.code == "outcome_unknown")
    }

    /// The id of the requests that the host makes for it.
    pub fn request_id(&self) -> String {
        format!("job-{}", self.id)
    }
}

/// A line of the mock upstream's bill.
#[derive(Debug, Deserialize)]
struct Charge {
    request_id: Option<String>,
}

/// A request that the mock upstream did not answer as it should.
#[derive(Debug, Deserialize)]
struct Spoilt {
    request_id: Option<String>,
    fault: String,
}

/// What the mock upstream charged for, and where it failed.
#[derive(Debug)]
pub struct Bill {
    pub by_request: BTreeMap<String, u32>,
    pub without_id: usize,
    /// Repeated requests that it answered under a known key, and did not charge for again.
    pub repeated: u64,
    /// Its faults by the id of the request that they befell; that it was slow is none.
    pub faults: BTreeMap<String, Vec<String>>,
    /// How often there was each fault.
    pub by_fault: BTreeMap<String, u32>,
}

impl Bill {
    pub fn read(site: &Site) -> Result<Self> {
        let mock = site.upstream();
        let charges = mock.get("/_mock/charges", "").expect(200)?;
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
        let (mut faults, mut by_fault) = (BTreeMap::<String, Vec<String>>::new(), BTreeMap::new());
        let listed = mock.get("/_mock/faults", "").expect(200)?;
        for Spoilt { request_id, fault } in serde_json::from_value::<Vec<_>>(listed["faults"].clone())? {
            *by_fault.entry(fault.clone()).or_default() += 1;
            if let Some(id) = request_id.filter(|_| !fault.starts_with("slow")) {
                faults.entry(id).or_default().push(fault);
            }
        }
        let repeated = requests.saturating_sub(distinct);
        Ok(Self { by_request, without_id, repeated, faults, by_fault })
    }

    /// How often a request with this id was charged for.
    pub fn charges(&self, request_id: &str) -> u32 {
        self.by_request.get(request_id).copied().unwrap_or(0)
    }

    /// Whether a request with this id came, as far as it was charged for or spoilt.
    pub fn has_seen(&self, request_id: &str) -> bool {
        self.by_request.contains_key(request_id) || self.faults.contains_key(request_id)
    }
}

/// All pages of a list.
pub fn pages<T: DeserializeOwned>(client: &Client, key: &str, path: &str) -> Result<Vec<T>> {
    let mut all = Vec::new();
    let mut before = String::new();
    loop {
        let page = client.get(&format!("{path}{before}"), key).expect(200)?;
        let rows: Vec<T> = serde_json::from_value(page["data"].clone())?;
        all.extend(rows);
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return Ok(all),
        }
    }
}

/// What became of the outputs that jobs name.
#[derive(Debug, Default)]
pub struct Outputs {
    pub read: usize,
    pub wrong: Vec<String>,
}

impl Outputs {
    /// Read all of them, and hash what is read: an output's tag is the BLAKE3 of its content.
    pub fn read(client: &Client, jobs: &[Job], users: &[User]) -> Self {
        let mut outputs = Self::default();
        for job in jobs {
            for output in &job.outputs {
                let Some(url) = output["url"].as_str() else { continue };
                outputs.read += 1;
                let Some(content) = client.content(url, &users[job.user].key) else {
                    outputs.wrong.push(format!("{url} is missing or cut"));
                    continue;
                };
                let hash = blake3::hash(&content.bytes).to_hex();
                if output["size"].as_u64() != Some(content.bytes.len() as u64) || *hash != *content.tag {
                    let length = content.bytes.len();
                    outputs.wrong.push(format!("{url} has {length} bytes of {hash}, not of {}", content.tag));
                }
            }
        }
        outputs
    }
}

/// The money of all users, once it is at rest: live calls are in the books a moment after they ended.
pub fn accounts(client: &Client, users: &[User], deadline: Instant) -> Result<Vec<Account>> {
    const REST: std::time::Duration = std::time::Duration::from_secs(1);
    let read = || users.iter().map(|user| Account::read(client, &user.key)).collect::<Result<Vec<_>>>();
    let mut before = read()?;
    loop {
        std::thread::sleep(REST);
        let now = read()?;
        if now == before {
            return Ok(now);
        }
        ensure!(Instant::now() < deadline, "money does not come to rest");
        before = now;
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
