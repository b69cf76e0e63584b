//! A user who has some of everything.

use atelier_domain::account::email::EmailAddress;
use atelier_domain::account::session::PasswordHash;
use atelier_domain::account::token::TokenDigest;
use atelier_domain::account::{Role, User};
use atelier_domain::audit::{Actor, AuditKind, AuditRecord, AuditStore};
use atelier_domain::batch::{AnswerBody, BatchState, EndedLine, LineEnd};
use atelier_domain::conversation::{Conversation, Title, TitleOrigin};
use atelier_domain::event::EventKind;
use atelier_domain::file::{FileQuota, StoredFile};
use atelier_domain::id::{AuditId, KeyId, MailId, ResponseId, UserId};
use atelier_domain::idempotency::{Claim, ClaimKey, ClaimState, ClaimStore, KeptAnswer};
use atelier_domain::job::{Job, JobState};
use atelier_domain::link::Link;
use atelier_domain::mail::{MailKind, MailToken, QueuedMail, TokenUse};
use atelier_domain::response::StoredResponse;
use atelier_domain::store::{
    AccountStore, BatchStore, ConversationStore, CredentialStore, DeletionStore, DeliveryStore,
    EndpointStore, EventStore, FileStore, JobStore, LedgerStore, LinkStore, MailStore, ProviderKeyStore,
    ResponseStore,
};
use atelier_domain::time::Timestamp;
use atelier_domain::webhook::WebhookEndpoint;

use crate::contract::ledger::steps::{end, grant, job_for, submit, used, wanted};
use crate::contract::{batches, conversations::steps, provider_keys, sample};

/// The ports behind which something of a user lies.
pub trait Ports:
    AccountStore
    + AuditStore
    + BatchStore
    + ClaimStore
    + ConversationStore
    + CredentialStore
    + DeletionStore
    + DeliveryStore
    + EndpointStore
    + EventStore
    + FileStore
    + JobStore
    + LedgerStore
    + LinkStore
    + MailStore
    + ProviderKeyStore
    + ResponseStore
{
}
impl<T> Ports for T where
    T: AccountStore
        + AuditStore
        + BatchStore
        + ClaimStore
        + ConversationStore
        + CredentialStore
        + DeletionStore
        + DeliveryStore
        + EndpointStore
        + EventStore
        + FileStore
        + JobStore
        + LedgerStore
        + LinkStore
        + MailStore
        + ProviderKeyStore
        + ResponseStore
{
}

/// What the user has.
#[derive(Debug)]
pub struct World {
    pub user: User,
    /// A word that is in all that they wrote.
    pub word: String,
    pub file: StoredFile,
    pub job: Job,
    pub conversation: Conversation,
    pub response: StoredResponse,
    pub link: Link,
    /// Open, with a hold.
    pub open: Job,
}

impl World {
    /// Fills a store with a user and some of everything that can be theirs. `word` is in what they wrote, and in their address.
    pub fn fill<S: Ports>(store: &S, word: &str) -> Self {
        let name = format!("{word}@atelier.dev");
        let user = User { role: Role::User, verified: Some(Timestamp(5)), ..sample::user(&name) };
        store.create_user(&user).expect("created");
        let key = ways_in(store, &user, word);
        let hooked = WebhookEndpoint {
            url: format!("https://example.com/{word}"),
            events: EventKind::ALL.to_vec(),
            ..sample::endpoint(user.id)
        };
        let before = WebhookEndpoint { ..sample::endpoint(user.id) };
        assert!(store.put_provider_key(user.id, &provider_keys::key("openai", word), 9).expect("kept"));
        assert!(store.create_endpoint(&hooked, 9).expect("created"));
        assert!(store.create_endpoint(&before, 9).expect("created"));
        let (job, open) = jobs(store, user.id, key, word);
        assert!(
            store.remove_endpoint(user.id, before.id).expect("removed"),
            "its deliveries stay for a while"
        );
        let (file, link) = files(store, user.id, word);
        let conversation = conversations(store, user.id, word);
        batches_of(store, user.id, word);
        let response = StoredResponse {
            id: ResponseId::new(),
            owner: user.id,
            previous: None,
            created: Timestamp(1),
            expires: Timestamp(u64::MAX - 1),
            input: vec![word.to_owned()],
            output: vec![word.repeat(2_000)],
            answer: word.to_owned(),
        };
        store.create_response(&response, u64::MAX).expect("kept");
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let state = ClaimState::Answered(KeptAnswer { status: 200, headers, has_body: true });
        let claim = Claim { payload: word.to_owned(), expires: Timestamp(u64::MAX - 1), state };
        let claimed = ClaimKey::new(user.id, "POST /x", word);
        store.put_claim(&claimed, &claim, Some(word.as_bytes()), 1_000).expect("put");
        let record = AuditRecord {
            id: AuditId::new(),
            kind: AuditKind::Administration,
            time: Timestamp(7),
            actor: Some(Actor { user: user.id, key }),
            instance: None,
            plugin: None,
            action: "POST /api/v1/keys".to_owned(),
            target: Some("/api/v1/keys".to_owned()),
            request_id: "req_1".to_owned(),
            status: Some(201),
            code: None,
            count: 1,
        };
        AuditStore::audit(store, &[record]).expect("written");
        Self { user, word: word.to_owned(), file, job, conversation, response, link, open }
    }
}

fn ways_in<S: Ports>(store: &S, user: &User, word: &str) -> KeyId {
    let key = atelier_domain::account::ApiKey { name: word.to_owned(), ..sample::key(user.id) };
    store.create_key(&key).expect("created");
    let hash = PasswordHash(format!("hash of {word}"));
    store.set_password(user.id, &hash, Timestamp(6), None).expect("set").expect("there");
    let session = sample::session(user.id);
    let session = atelier_domain::account::session::Session { version: 1, agent: word.to_owned(), ..session };
    store.create_session(&session, 9).expect("begun");
    let address: EmailAddress = user.name.parse().expect("an address");
    let (id, to) = (MailId::new(), address.clone());
    let mail =
        QueuedMail { id, to, kind: MailKind::Reset, created: Timestamp(1), attempts: 0, due: Timestamp(1) };
    assert!(store.queue_mail(&mail, 99).expect("queued"));
    for purpose in [TokenUse::Verify, TokenUse::Reset] {
        let digest = TokenDigest(*blake3::hash(format!("{word} {purpose:?}").as_bytes()).as_bytes());
        let (address, expires) = (address.clone(), Timestamp(u64::MAX - 1));
        store
            .put_mail_token(&MailToken { digest, r#use: purpose, address, mail: id, expires })
            .expect("kept");
    }
    key.id
}

/// One that succeeded and one that is open, beside others.
fn jobs<S: Ports>(store: &S, owner: UserId, key: KeyId, word: &str) -> (Job, Job) {
    store.grant(&grant(owner, 1_000)).expect("made");
    let made = |most| {
        let (mut job, hold) = job_for(owner, key, most, 10);
        job.state = JobState::Queued;
        job.error = None;
        job.request_id = Some(word.to_owned());
        job.request.prompt = Some(word.to_owned());
        job.request.end_user = Some(word.to_owned());
        submit(store, &job, &hold).expect("let in");
        job
    };
    let job = end(store, &made(50), JobState::Succeeded, 2);
    let large = Job { state: JobState::Queued, error: None, ..sample::training(owner) };
    let mut large = Job { bill: atelier_domain::money::Bill::default(), ..large };
    large.request.prompt = Some(word.repeat(5_000));
    store.create_job(&(&large).into()).expect("created");
    let fail = |job: &mut Job| {
        job.state = JobState::Failed;
        job.finished = Some(Timestamp(9));
        let message = format!("{word} is not allowed");
        job.error = Some(atelier_domain::job::JobError { code: "refused".to_owned(), message });
        true
    };
    store.change_job(large.id, &fail).expect("changed");
    let taken = wanted(owner, key, 1, 100);
    store.take_allowance(&taken).expect("there");
    store.record(&used(&taken, 7)).expect("recorded");
    store.return_allowance(taken.id).expect("back");
    (job, made(30))
}

fn files<S: Ports>(store: &S, owner: UserId, word: &str) -> (StoredFile, Link) {
    let quota = FileQuota { bytes: u64::MAX, files: 99 };
    let named = || StoredFile {
        name: word.to_owned(),
        expires: Some(Timestamp(u64::MAX - 1)),
        ..sample::file(owner)
    };
    let (file, removed) = (named(), named());
    store.create_file(&file, &quota).expect("created");
    store.create_file(&removed, &quota).expect("created");
    assert!(store.remove_file(owner, removed.id, Timestamp(5)).expect("removed"), "its content is leaving");
    let link = Link { title: Some(word.to_owned()), ..sample::link(owner) };
    store.create_link(&link).expect("created");
    (file, link)
}

fn conversations<S: Ports>(store: &S, owner: UserId, word: &str) -> Conversation {
    let title = Some(Title { text: word.to_owned(), origin: TitleOrigin::Model });
    let made = |archived| {
        let made = Conversation {
            title: title.clone(),
            archived,
            system: Some(word.to_owned()),
            ..sample::conversation(owner)
        };
        let made = steps::create(store, made);
        steps::said(store, &made, None, word, &format!("so it is, {word}"));
        made
    };
    let (kept, _archived, gone) = (made(false), made(true), made(false));
    // An answer that is being made.
    steps::exchange(store, &steps::asking(&kept, None, word));
    assert!(store.remove_conversation(owner, gone.id).expect("removed"), "its messages are there still");
    kept
}

fn batches_of<S: Ports>(store: &S, owner: UserId, word: &str) {
    for state in [BatchState::InProgress, BatchState::Completed] {
        let mut batch = batches::batch(owner);
        batch.metadata = vec![("team".to_owned(), word.to_owned())];
        store.create_batch(&batch).expect("created");
        for number in 1..=3 {
            let body = AnswerBody::Inline(format!("{{\"a\":\"{word}\"}}"));
            let end = LineEnd::Answered { status: 200, request_id: "req_1".to_owned(), body };
            store.end_line(batch.id, &EndedLine { number, custom_id: word.to_owned(), end }).expect("ended");
        }
        let enter = |batch: &mut atelier_domain::batch::Batch| {
            batch.enter(state, Timestamp(20));
            true
        };
        store.change_batch(batch.id, &enter).expect("changed");
    }
}
