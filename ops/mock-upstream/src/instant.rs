//! `instant` mode: the far end for benchmarks, cheap enough not to be what they measure.
//!
//! Answers are bytes made beforehand. Of a request it looks only at the path, at where the
//! body ends and at whether the body holds `"stream":true`. Nothing is recorded or checked.

mod answers;
mod connection;

use std::io;
use std::net::SocketAddr;
use std::thread;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Connections that may wait for each worker.
const WAITING_MAX: usize = 256;

/// A bound listener and its workers.
#[derive(Debug)]
pub struct Instant {
    listener: TcpListener,
    workers: Vec<mpsc::Sender<std::net::TcpStream>>,
}

impl Instant {
    /// Bind, and start as many worker threads as asked for (at least one). They end when this is dropped.
    ///
    /// # Errors
    /// The address is taken or not this machine's, or a thread could not be started.
    pub async fn start(listen: SocketAddr, workers: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let workers = (0..workers.max(1)).map(worker).collect::<io::Result<_>>()?;
        Ok(Self { listener, workers })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Hand each connection to the next worker, until the listener fails.
    ///
    /// # Errors
    /// A connection could not be accepted or handed over.
    pub async fn serve(self) -> io::Result<()> {
        for worker in self.workers.iter().cycle() {
            let (stream, _) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            let stopped = |_| io::Error::other("a worker thread has stopped");
            worker.send(stream.into_std()?).await.map_err(stopped)?;
        }
        Ok(())
    }
}

/// A thread with a runtime of its own, so that no request ever changes threads.
fn worker(number: usize) -> io::Result<mpsc::Sender<std::net::TcpStream>> {
    let (sender, mut connections) = mpsc::channel::<std::net::TcpStream>(WAITING_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = async move {
        while let Some(stream) = connections.recv().await {
            // A socket that cannot be registered is closed by being dropped.
            if let Ok(stream) = TcpStream::from_std(stream) {
                tokio::spawn(connection::converse(stream));
            }
        }
    };
    thread::Builder::new().name(format!("instant-{number}")).spawn(move || runtime.block_on(work))?;
    Ok(sender)
}
