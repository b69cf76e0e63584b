//! Exports that are under way.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use atelier_domain::account::{Principal, User, browser_key};
use atelier_domain::export::Section;
use atelier_domain::id::UserId;
use atelier_service::ServiceError;
use atelier_service::caller::{Caller, scope_of};
use serde::Serialize;
use tokio::runtime::Handle;

use super::archive::Archive;
use crate::app::App;
use crate::http::ApiError;
use crate::pieces::{Pieces, Taken};

/// Of all users at once.
const RUNNING_MAX: usize = 4;

/// Whose are being made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exports {
    running: Arc<Mutex<HashSet<UserId>>>,
}

/// One of them, which ends when this is dropped.
struct Place {
    exports: Exports,
    user: UserId,
}

impl Exports {
    fn begin(&self, user: UserId) -> Result<Place, ServiceError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.len() >= RUNNING_MAX && !running.contains(&user) {
            return Err(ServiceError::TooMany { what: "exports under way", max: RUNNING_MAX });
        }
        if !running.insert(user) {
            return Err(ServiceError::Exists { what: "an export that is under way".to_owned() });
        }
        Ok(Place { exports: self.clone(), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.exports.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.user);
    }
}

/// Why an export broke off.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody takes it any more, or it cannot be written.
    Out(io::Error),
    /// Something could not be read.
    In(ServiceError),
    /// Something could not be shown.
    View(ApiError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Out(error) => error.fmt(f),
            Self::In(error) => error.fmt(f),
            Self::View(error) => write!(f, "{}", error.code()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Out(error)
    }
}
impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::In(error)
    }
}
impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::View(error)
    }
}

/// Content that an archive lacks.
#[derive(Debug, Serialize)]
pub(super) struct Missing {
    pub name: String,
    pub why: String,
}

/// An export in the making, on a blocking thread.
pub(super) struct Export<'a> {
    pub app: &'a App,
    pub user: &'a User,
    /// The user, as any caller.
    pub caller: Caller,
    pub archive: Archive,
    pub missing: Vec<Missing>,
    runtime: Handle,
}

impl Export<'_> {
    /// Waits for what the server's own threads do.
    pub(super) fn ask<T>(&self, work: impl Future<Output = Result<T, ServiceError>>) -> Result<T, Failure> {
        Ok(self.runtime.block_on(work)?)
    }
}

/// Begins one; it is made as fast as it is taken, and ends when nobody takes it any more.
pub(super) fn begin(app: &Arc<App>, user: User, request_id: Arc<str>) -> Result<Taken, ServiceError> {
    let place = app.exports.begin(user.id)?;
    let (out, taken) = Pieces::new();
    let (app, runtime) = (app.clone(), Handle::current());
    tokio::task::spawn_blocking(move || {
        let _until_it_ends = place;
        let broken = out.breaker();
        let caller = as_caller(&user, request_id.clone());
        let archive = Archive::new(out);
        let export = Export { app: &app, user: &user, caller, archive, missing: Vec::new(), runtime };
        match export.write() {
            Ok((bytes, missing)) => {
                tracing::info!(user = %user.id, bytes, missing, request_id = &*request_id, "an account was exported");
            }
            Err(Failure::Out(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                tracing::info!(user = %user.id, request_id = &*request_id, "nobody took an export to its end");
            }
            Err(why) => {
                tracing::error!(user = %user.id, %why, request_id = &*request_id, "an export broke off");
                broken.break_off(&why);
            }
        }
    });
    Ok(taken)
}

/// A user who asks for what is theirs, whoever asked for it.
fn as_caller(user: &User, request_id: Arc<str>) -> Caller {
    let principal = Principal {
        user: user.id,
        role: user.role,
        key: browser_key(user.id),
        scopes: user.role.scopes().to_vec(),
        expires: None,
        session: None,
    };
    Caller {
        principal: Arc::new(principal),
        scope: scope_of(user.id),
        request_id,
        depth: 0,
        own_key: None,
        keyed: None,
        trace: None,
    }
}

impl Export<'_> {
    /// Gives how many bytes it has, and how much content it lacks.
    fn write(mut self) -> Result<(u64, usize), Failure> {
        self.archive.entry("README.txt")?;
        let (name, now) = (&self.user.name, self.app.clock.now().rfc3339());
        self.archive.text(&format!("What {name} has here, as of {now}.\n\n"))?;
        for section in Section::ALL {
            self.archive.text(&format!("{:<25} {}\n", section.document(), section.about()))?;
        }
        self.archive.text(MORE)?;
        for section in Section::ALL {
            self.section(section)?;
        }
        if !self.missing.is_empty() {
            self.archive.entry("missing.ndjson")?;
            for missing in &self.missing {
                self.archive.line(missing)?;
            }
        }
        let missing = self.missing.len();
        Ok((self.archive.finish()?, missing))
    }
}

const MORE: &str = "\nDocuments are JSON, or (.ndjson) a JSON object a line, in the form of the API's own answers; the reference at \
    /docs says what their members mean.\nContent that was gone or damaged is named in missing.ndjson, which is there if there is any.\n";
