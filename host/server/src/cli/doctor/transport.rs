//! What `atelier doctor` says of a listener's TLS.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Findings;
use crate::config::Transport;

const DAY_SECONDS: i64 = 86_400;
/// Certificates are renewed a month before they end, as most authorities' clients do it.
const DAYS_MIN: i64 = 14;

pub(super) fn examine(listener: &str, listen: SocketAddr, transport: &Transport, findings: &mut Findings) {
    let is_local = listen.ip().to_canonical().is_loopback();
    let Some(files) = transport.files() else {
        match (is_local, transport.insecure_http) {
            (true, _) => findings.good(&format!("[{listener}] {listen} is reached from this machine alone")),
            (false, _) => findings.note(&format!(
                "[{listener}] insecure_http: what comes to {listen} from other machines can be read on its way"
            )),
        }
        return;
    };
    match files.load() {
        Ok(loaded) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
            let days = (loaded.not_after - i64::try_from(now).unwrap_or(i64::MAX)).div_euclid(DAY_SECONDS);
            let path = files.certificate.display();
            match days {
                ..0 => findings.problem(&format!("[{listener}.tls] {path} is no longer good: renew it")),
                0..DAYS_MIN => {
                    findings.problem(&format!("[{listener}.tls] {path} is good for {days} days: renew it"))
                }
                _ => findings.good(&format!("[{listener}.tls] {path} is good for {days} days")),
            }
        }
        Err(error) => findings.problem(&format!("[{listener}.tls] {}: {error}", error.setting)),
    }
    match fs::metadata(&files.key) {
        Ok(key) if key.permissions().mode() & 0o007 != 0 => findings.problem(&format!(
            "[{listener}.tls] everybody on this machine may use {}: `chmod 600` it",
            files.key.display()
        )),
        Ok(_) => {}
        Err(error) => findings.problem(&format!("[{listener}.tls] {}: {error}", files.key.display())),
    }
    if listener == "admin" && files.client_ca.is_none() && !is_local {
        findings
            .note(&format!("[admin.tls] without client_ca whoever reaches {listen} sees health and metrics"));
    }
}
