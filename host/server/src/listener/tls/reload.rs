//! Files that change are taken while the listener serves. Connections that are open go on as they began.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{BadFile, Loaded, Tls};

impl Tls {
    /// Looks at the files now and then, and at once upon SIGHUP, until told to stop. What cannot be used is told once, and looked at
    /// again: a certificate and its key are seldom written in one moment.
    pub(crate) async fn watch(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => Some(hangup),
            Err(error) => {
                tracing::warn!(%error, "SIGHUP is not heard: changed certificates are found in time all the same");
                None
            }
        };
        let mut loaded = self.stamp.clone();
        let mut refused = None;
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(self.setup.reload_every) => {}
                _ = hung_up => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
            let files = self.setup.files.clone();
            let known = loaded.clone();
            let looking = tokio::task::spawn_blocking(move || {
                // What changes while it is read is seen next time.
                let stamp = files.stamp();
                (stamp != known).then(|| (stamp, files.load()))
            });
            match looking.await {
                Ok(None) => {}
                Ok(Some((stamp, outcome))) => {
                    if self.take(outcome, refused.as_ref() != Some(&stamp)) {
                        (loaded, refused) = (stamp, None);
                    } else {
                        refused = Some(stamp);
                    }
                }
                Err(error) => tracing::error!(%error, "looking at the certificate ended unexpectedly"),
            }
        }
    }

    /// Takes what was read, if it can be used.
    fn take(&self, outcome: Result<Loaded, BadFile>, is_new: bool) -> bool {
        match outcome {
            Ok(loaded) => {
                self.current.store(loaded.config);
                self.counts.not_after.store(loaded.not_after, Ordering::Relaxed);
                self.counts.reloaded.inc();
                tracing::info!(certificate = %self.setup.files.certificate.display(), "a new certificate is used");
                true
            }
            Err(error) => {
                if is_new {
                    self.counts.refused.inc();
                    tracing::error!(setting = error.setting, %error, "a changed certificate cannot be used: the one before it stays");
                }
                false
            }
        }
    }
}
