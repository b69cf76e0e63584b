//! The mock upstream, as the far end of a host under test.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};

const LINE_BYTES_MAX: u64 = 1024;

/// A running mock upstream; dropped, it is ended.
#[derive(Debug)]
pub struct Mock {
    child: Child,
    address: SocketAddr,
}

impl Mock {
    /// Start its binary on a free port of the loopback; `arguments` say how it behaves.
    pub fn start(binary: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(binary)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let announced = child.stdout.take().context("the mock upstream has no standard output")?;
        let mut mock = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let mut line = String::new();
        // It speaks once, when it listens; an end without a word ends the reading too.
        BufReader::new(announced.take(LINE_BYTES_MAX)).read_line(&mut line)?;
        let address = line.trim_end().strip_prefix("listening on http://").map(str::parse);
        mock.address = address
            .and_then(Result::ok)
            .with_context(|| format!("the mock upstream did not say where it listens: {line:?}"))?;
        Ok(mock)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its root, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        // It may have ended by itself, and both calls say so then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
