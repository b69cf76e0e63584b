//! `/api/v1/usage`: what was used and what it cost, call by call and in sums.

pub(super) mod records;
pub(super) mod refund;
pub(super) mod totals;
