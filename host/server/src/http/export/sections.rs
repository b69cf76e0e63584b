//! Each part of an export: page by page what the route of the same name shows.

use std::io;

use atelier_domain::audit::AuditPage;
use atelier_domain::blob::{Blob, BlobId};
use atelier_domain::conversation::{Conversation, ConversationPage, ConversationPosition, StoredMessage};
use atelier_domain::export::Section;
use atelier_domain::file::FilePage;
use atelier_domain::job::{Job, StoredOutput, StoredSource};
use atelier_domain::money::{Dimension, TotalsQuery};
use atelier_service::ServiceError;
use serde::Serialize;
use serde_json::value::RawValue;

use super::archive::Archive;
use super::generation::{GenerationView, input_name};
use super::running::{Export, Failure, Missing};
use crate::http::audit::list::RecordView;
use crate::http::auth::view::SessionView;
use crate::http::batches::view::BatchView;
use crate::http::budgets::view::BudgetView;
use crate::http::conversations::view::{ConversationView, MessageView};
use crate::http::credits::view::{BalanceView, EntryView};
use crate::http::files::view::FileView;
use crate::http::keys::view::KeyView;
use crate::http::links::view::LinkView;
use crate::http::usage::records::RecordView as UsageView;
use crate::http::usage::totals;
use crate::http::users::view::UserView;
use crate::http::webhook_endpoints::view::{DeliveryView, EndpointView};
use crate::http::{fine_tuning, prefix, provider_keys};

/// Rows read at once.
const PAGE: usize = 100;

impl Export<'_> {
    /// Writes one part: its document, and the content that belongs to it.
    pub(super) fn section(&mut self, section: Section) -> Result<(), Failure> {
        self.archive.entry(section.document())?;
        let (app, caller, user) = (self.app, self.caller.clone(), self.user.id);
        match section {
            Section::Account => self.account(),
            Section::Keys => self.pages(
                |after| app.accounts.keys(user, after, PAGE),
                |key| key.id,
                |out, key| Ok(out.line(&KeyView::from(key))?),
            ),
            Section::Sessions => {
                for session in self.ask(app.accounts.sessions(user))? {
                    self.archive.line(&SessionView::new(&session, false))?;
                }
                Ok(())
            }
            Section::ProviderKeys => {
                for key in self.ask(app.own_keys.list(&caller))? {
                    self.archive.line(&provider_keys::view::KeyView::from(&key))?;
                }
                Ok(())
            }
            Section::Files => self.files(),
            Section::Generations => self.generations(),
            Section::FineTuning => self.pages(
                |after| app.jobs.trainings(&caller, after, PAGE),
                |job| job.id,
                |out, job| Ok(out.line(&fine_tuning::view::view(job)?)?),
            ),
            Section::Batches => self.pages(
                |after| app.batches.list(&caller, after, PAGE),
                |batch| batch.id,
                |out, batch| Ok(out.line(&BatchView::from(batch))?),
            ),
            Section::Conversations => {
                self.conversations(|export, talk| Ok(export.archive.line(&ConversationView::from(talk))?))
            }
            Section::Messages => {
                self.conversations(|export, talk| {
                    export.messages_of(talk, |out, said| {
                        Ok(out.line(&Said {
                            conversation: said.conversation.to_string(),
                            message: said.into(),
                        })?)
                    })
                })?;
                self.conversations(|export, talk| export.contents_of(talk))
            }
            Section::Responses => self.responses(),
            Section::Links => self.pages(
                |after| app.links.list(&caller, after, PAGE),
                |link| link.id,
                |out, link| Ok(out.line(&LinkView::new(app, link))?),
            ),
            Section::WebhookEndpoints => {
                for endpoint in self.ask(app.webhooks.list(&caller))? {
                    self.archive.line(&EndpointView::from(&endpoint))?;
                }
                Ok(())
            }
            Section::WebhookDeliveries => {
                for watched in self.ask(app.webhooks.list(&caller))? {
                    let id = watched.endpoint.id;
                    self.pages(
                        |after| app.webhooks.deliveries(&caller, id, after, PAGE),
                        |delivery| delivery.id,
                        |out, delivery| Ok(out.line(&DeliveryView::from(delivery))?),
                    )?;
                }
                Ok(())
            }
            Section::Credits => {
                let balance = self.ask(app.ledger.balance(user))?;
                Ok(self.archive.line(&BalanceView::from(balance))?)
            }
            Section::CreditEntries => self.pages(
                |after| app.ledger.entries(user, after, PAGE),
                |entry| entry.id,
                |out, entry| Ok(out.line(&EntryView::from(entry))?),
            ),
            Section::Budget => {
                let spending = self.ask(app.ledger.budget(user, None))?;
                Ok(self.archive.line(&BudgetView::new(&spending, app.clock.now()))?)
            }
            Section::Usage => self.pages(
                |after| app.ledger.usage(user, after, PAGE),
                |record| record.id,
                |out, record| Ok(out.line(&UsageView::from(record))?),
            ),
            Section::UsageTotals => self.usage_totals(),
            Section::Audit => self.audit(),
        }
    }

    /// All pages of a list, which goes on behind the last of a page.
    fn pages<T, I, W>(
        &mut self,
        read: impl Fn(Option<I>) -> W,
        id: impl Fn(&T) -> I,
        mut write: impl FnMut(&mut Archive, &T) -> Result<(), Failure>,
    ) -> Result<(), Failure>
    where
        W: Future<Output = Result<Vec<T>, ServiceError>>,
    {
        let mut after = None;
        loop {
            let page = self.ask(read(after))?;
            let is_last = page.len() < PAGE;
            after = page.last().map(&id);
            for item in &page {
                write(&mut self.archive, item)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn account(&mut self) -> Result<(), Failure> {
        let verified = self.user.verified.map(|moment| moment.rfc3339());
        Ok(self.archive.line(&Account { user: UserView::from(self.user), verified })?)
    }

    /// An entry with content, if it is there; what is not is named at the end.
    fn content(
        &mut self,
        name: String,
        open: impl Future<Output = Result<Blob, ServiceError>>,
    ) -> Result<(), Failure> {
        let why = match self.ask(open) {
            Ok(blob) => match self.archive.content(&name, &blob)? {
                Ok(()) => return Ok(()),
                Err(error) => format!("it breaks off: {error}"),
            },
            Err(Failure::In(error)) => error.to_string(),
            Err(failure) => return Err(failure),
        };
        self.missing.push(Missing { name, why });
        Ok(())
    }

    /// The content of a blob that a job or a message names.
    fn blob(&mut self, name: String, id: BlobId, size: u64, content_type: &str) -> Result<(), Failure> {
        let app = self.app;
        self.content(name, app.jobs.open(id, size, content_type))
    }

    fn files(&mut self) -> Result<(), Failure> {
        let (app, caller) = (self.app, self.caller.clone());
        let page = |after| FilePage { after, limit: PAGE, newest_first: true, purpose: None };
        self.pages(
            |after| app.files.list(&caller, page(after)),
            |file| file.id,
            |out, file| Ok(out.line(&FileView::from(file))?),
        )?;
        let mut after = None;
        loop {
            let files = self.ask(app.files.list(&caller, page(after)))?;
            let Some(last) = files.last() else { return Ok(()) };
            after = Some(last.id);
            for file in &files {
                let name = prefix::of(prefix::FILE, &file.id.simple());
                let name = format!("files/{name}.{}", extension(&file.content_type));
                self.content(name, app.files.open(file))?;
            }
        }
    }

    fn generations(&mut self) -> Result<(), Failure> {
        let (app, caller) = (self.app, self.caller.clone());
        self.pages(
            |after| app.jobs.list(&caller, after, PAGE),
            |job| job.id,
            |out, job| Ok(out.line(&GenerationView::from(job))?),
        )?;
        let mut after = None;
        loop {
            let jobs = self.ask(app.jobs.list(&caller, after, PAGE))?;
            let Some(last) = jobs.last() else { return Ok(()) };
            after = Some(last.id);
            for job in &jobs {
                self.contents_of_job(job)?;
            }
        }
    }

    fn contents_of_job(&mut self, job: &Job) -> Result<(), Failure> {
        for (index, input) in job.request.inputs.iter().enumerate() {
            if let StoredSource::Blob { id, size } = input.source {
                let content_type = input.content_type.as_deref().unwrap_or_default();
                self.blob(input_name(job, index, input), id, size, content_type)?;
            }
        }
        for (index, output) in job.outputs.iter().enumerate() {
            if let StoredOutput::Media { blob, size, content_type, .. } = output {
                let name = format!("generations/{}/output-{index}.{}", job.id, extension(content_type));
                self.blob(name, *blob, *size, content_type)?;
            }
        }
        Ok(())
    }

    /// Each conversation, those that are archived behind the others.
    fn conversations(
        &mut self,
        mut write: impl FnMut(&mut Self, &Conversation) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (app, caller) = (self.app, self.caller.clone());
        for archived in [false, true] {
            let mut before = None;
            loop {
                let page = ConversationPage { archived, before, limit: PAGE };
                let talks = self.ask(app.conversations.list(&caller, page))?;
                let Some(last) = talks.last() else { break };
                before = Some(ConversationPosition { active: last.active, id: last.id });
                for talk in &talks {
                    write(self, talk)?;
                }
            }
        }
        Ok(())
    }

    fn messages_of(
        &mut self,
        talk: &Conversation,
        write: impl FnMut(&mut Archive, &StoredMessage) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (app, caller, id) = (self.app, self.caller.clone(), talk.id);
        self.pages(|after| app.conversations.all_messages(&caller, id, after, PAGE), |said| said.id, write)
    }

    fn contents_of(&mut self, talk: &Conversation) -> Result<(), Failure> {
        let mut contents = Vec::new();
        self.messages_of(talk, |_, said| {
            contents.extend(said.files().cloned().enumerate().map(|(index, file)| (said.id, index, file)));
            Ok(())
        })?;
        for (message, index, file) in contents {
            let name = format!("messages/{message}-{index}.{}", extension(&file.content_type));
            self.blob(name, file.blob, file.size, &file.content_type)?;
        }
        Ok(())
    }

    fn responses(&mut self) -> Result<(), Failure> {
        let (app, caller) = (self.app, self.caller.clone());
        let mut after = None;
        loop {
            let (kept, next) = self.ask(app.responses.page(&caller, after, PAGE))?;
            for response in &kept {
                let item = |text: &String| RawValue::from_string(text.clone());
                let input = response.input.iter().map(item).collect::<Result<_, _>>();
                let answer = RawValue::from_string(response.answer.clone());
                let view = Kept {
                    created: response.created.rfc3339(),
                    expires: response.expires.rfc3339(),
                    input: input.map_err(io::Error::from)?,
                    answer: answer.map_err(io::Error::from)?,
                };
                self.archive.line(&view)?;
            }
            if next.is_none() {
                return Ok(());
            }
            after = next;
        }
    }

    fn usage_totals(&mut self) -> Result<(), Failure> {
        let (app, user) = (self.app, self.user.id);
        let last_day = app.clock.now().day();
        for by in [Dimension::Day, Dimension::Model, Dimension::Provider, Dimension::Key] {
            let query = |after| TotalsQuery { user: Some(user), by, first_day: 0, last_day, after };
            self.pages(
                |after| app.ledger.totals(query(after), PAGE),
                |(key, _)| key.clone(),
                |out, sum| Ok(out.line(&SumBy { by: by.as_str(), sum: totals::view(sum, false) })?),
            )?;
        }
        Ok(())
    }

    fn audit(&mut self) -> Result<(), Failure> {
        let app = self.app;
        let mut before = None;
        loop {
            let page = AuditPage { before, kind: None, user: Some(self.user.id), limit: PAGE };
            let found = self.ask(app.audit.page(page))?;
            for record in &found.records {
                self.archive.line(&RecordView::from(record))?;
            }
            if found.next.is_none() {
                return Ok(());
            }
            before = found.next;
        }
    }
}

#[derive(Serialize)]
struct Account<'a> {
    #[serde(flatten)]
    user: UserView<'a>,
    /// Since when it is known that the name is an address at which they get mail.
    verified: Option<String>,
}

#[derive(Serialize)]
struct Said<'a> {
    conversation: String,
    #[serde(flatten)]
    message: MessageView<'a>,
}

#[derive(Serialize)]
struct Kept {
    created: String,
    expires: String,
    /// Items that were sent.
    input: Vec<Box<RawValue>>,
    /// As it was given.
    answer: Box<RawValue>,
}

#[derive(Serialize)]
struct SumBy<'a> {
    by: &'static str,
    #[serde(flatten)]
    sum: totals::SumView<'a>,
}

/// What a file's name ends with, so that it opens where it is unpacked; nothing of what a user wrote is in a name.
pub(super) fn extension(content_type: &str) -> &'static str {
    match content_type.split(';').next().unwrap_or_default().trim() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "image/avif" => "avif",
        "image/svg+xml" => "svg",
        "video/mp4" => "mp4",
        "video/webm" => "webm",
        "video/quicktime" => "mov",
        "audio/mpeg" => "mp3",
        "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
        "audio/flac" => "flac",
        "audio/ogg" | "audio/opus" => "ogg",
        "audio/aac" => "aac",
        "audio/mp4" => "m4a",
        "application/pdf" => "pdf",
        "application/json" => "json",
        "application/jsonl" | "application/x-ndjson" => "jsonl",
        "application/zip" => "zip",
        "text/plain" => "txt",
        "text/csv" => "csv",
        "text/html" => "html",
        "text/markdown" => "md",
        _ => "bin",
    }
}
