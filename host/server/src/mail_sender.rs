//! Mail by SMTP (RFC 5321), over TLS unless the server is on this machine.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use atelier_domain::mail::{Mail, MailFailure, MailSender};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::config::{self, MailSecurity};

/// Until the mail server has taken the connection.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// Says that a program wrote it, so that no program answers (RFC 3834 §5).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");
/// What a server answers where it does not let this one in (RFC 4954 §6): a matter of the configuration, and not of one mail.
const NOT_LET_IN: [u16; 5] = [530, 534, 535, 538, 454];

/// Sends mail.
pub struct SmtpSender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for SmtpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpSender").field("from", &self.from).finish_non_exhaustive()
    }
}

impl SmtpSender {
    /// Reads the certificate of the authority, where one is named. Nothing is sent yet.
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn new(mail: &config::Mail) -> anyhow::Result<Self> {
        let mut tls = TlsParameters::builder(mail.host.clone());
        if let Some(path) = &mail.ca {
            let pem = std::fs::read(path).with_context(|| format!("[mail] ca: {}", path.display()))?;
            let certificate = Certificate::from_pem(&pem)
                .with_context(|| format!("[mail] ca: {} is no PEM certificate", path.display()))?;
            tls = tls.certificate_store(CertificateStore::None).add_root_certificate(certificate);
        }
        let tls = tls.build_rustls().context("[mail]: TLS cannot be set up")?;
        let tls = match mail.security {
            MailSecurity::Tls => Tls::Wrapper(tls),
            MailSecurity::StartTls => Tls::Required(tls),
            MailSecurity::None => Tls::None,
        };
        let (name, address) = &mail.from;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(mail.host.clone())
            .port(mail.port)
            .tls(tls)
            .hello_name(ClientId::Domain(address.domain().to_owned()))
            .timeout(Some(CONNECT_MAX));
        let transport = match &mail.login {
            Some((user, password)) => {
                transport.credentials(Credentials::new(user.clone(), password.reveal().to_owned()))
            }
            None => transport,
        };
        let address: Address = address.as_str().parse().context("[mail] from")?;
        Ok(Self { transport: transport.build(), from: Mailbox::new(name.clone(), address) })
    }

    fn message(&self, mail: &Mail) -> Result<Message, MailFailure> {
        let malformed = |what: &dyn fmt::Display| MailFailure {
            is_permanent: true,
            what: format!("the mail cannot be written: {what}"),
        };
        let to: Address = mail.to.as_str().parse().map_err(|_| malformed(&"its address is none"))?;
        let id = format!("<{}@{}>", mail.id, self.from.email.domain());
        let submitted = HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned());
        MessageBuilder::new()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .message_id(Some(id))
            .date_now()
            .raw_header(submitted)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|error| malformed(&error))
    }
}

#[async_trait]
impl MailSender for SmtpSender {
    async fn send(&self, mail: &Mail) -> Result<(), MailFailure> {
        let message = self.message(mail)?;
        self.transport.send(message).await.map(|_| ()).map_err(|error| failure(&error))
    }
}

/// What is told of a failure: what the server says may name the address.
fn failure(error: &Error) -> MailFailure {
    match error.status() {
        Some(code) => {
            let number = u16::from(code);
            let is_permanent = error.is_permanent() && !NOT_LET_IN.contains(&number);
            let what = match NOT_LET_IN.contains(&number) {
                true => format!(
                    "the mail server does not let this server in ({number}): see [mail] user and password"
                ),
                false => format!("the mail server answered {number}"),
            };
            MailFailure { is_permanent, what }
        }
        None => {
            let source = std::error::Error::source(error)
                .filter(|_| !error.is_response())
                .map_or_else(String::new, |source| format!(": {source}"));
            let what = match (error.is_timeout(), error.is_tls()) {
                (true, _) => "the mail server took too long",
                (_, true) => "no TLS with the mail server",
                _ => "the mail server cannot be spoken to",
            };
            MailFailure { is_permanent: false, what: format!("{what}{source}") }
        }
    }
}
