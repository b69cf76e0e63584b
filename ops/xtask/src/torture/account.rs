//! A user's money, as the host shows it.

use anyhow::Result;
use serde::Deserialize;

use super::{client::Client, evidence::pages, prices::Usage};

/// A movement.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entry {
    pub id: String,
    pub kind: String,
    pub generation: Option<String>,
    pub reason: Option<String>,
    pub available: i64,
    pub held: i64,
    pub allowance: i64,
}

/// A usage record.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Record {
    pub id: String,
    pub model: String,
    pub generation: Option<String>,
    pub request_id: Option<String>,
    pub outcome: String,
    pub usage: Vec<Usage>,
    pub cost: Option<u64>,
    pub unpriced: bool,
}

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Balance {
    pub available: u64,
    pub held: u64,
    pub allowance: u64,
}

/// The sums of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Sum {
    pub calls: u64,
    pub cost: u64,
}

/// All of a user's money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub entries: Vec<Entry>,
    pub records: Vec<Record>,
    pub balance: Balance,
    pub sums: Vec<Sum>,
}

impl Account {
    /// Ask for it.
    pub fn read(client: &Client, key: &str) -> Result<Self> {
        Ok(Self {
            entries: pages(client, key, "/api/v1/credits/entries?limit=100")?,
            records: pages(client, key, "/api/v1/usage?limit=100")?,
            balance: serde_json::from_value(client.get("/api/v1/credits", key).expect(200)?)?,
            sums: pages(client, key, "/api/v1/usage/totals?by=day")?,
        })
    }

    /// The cost of all records that fit.
    pub fn cost(&self, fits: impl Fn(&Record) -> bool) -> u64 {
        self.records.iter().filter(|record| fits(record)).filter_map(|record| record.cost).sum()
    }
}
