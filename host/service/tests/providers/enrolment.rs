//! Sign-up and forgotten passwords in time, on the real store.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use atelier_domain::account::Role;
use atelier_domain::account::token::Token;
use atelier_domain::mail::{Mail, MailFailure, MailKind, MailSender};
use atelier_service::accounts::{AccountLimits, Accounts, HashCost, HasherLimits};
use atelier_service::enrolment::{Enrolment, EnrolmentLimits, EnrolmentPorts};
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use atelier_storage::Store;

use crate::clock::TestClock;

const PASSWORD: &str = "plum orbit 7 lantern";
const ADA: &str = "ada@atelier.dev";
/// Made for tests: what is kept of a password here protects nobody.
const CHEAP: HashCost = HashCost { memory_kib: 64, passes: 1, lanes: 1 };

/// A mail server that answers as it is told, and takes all else.
#[derive(Debug, Default)]
struct Server {
    answers: Mutex<VecDeque<MailFailure>>,
    taken: Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl MailSender for Server {
    async fn send(&self, mail: &Mail) -> Result<(), MailFailure> {
        if let Some(failure) = self.answers.lock().expect("no panic").pop_front() {
            return Err(failure);
        }
        self.taken.lock().expect("no panic").push((mail.to.to_string(), mail.text.clone()));
        Ok(())
    }
}

impl Server {
    fn fails(&self, is_permanent: bool) {
        let failure = MailFailure { is_permanent, what: "no".to_owned() };
        self.answers.lock().expect("no panic").push_back(failure);
    }

    fn taken(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.taken.lock().expect("no panic"))
    }
}

struct Bench {
    enrolment: Enrolment,
    accounts: Arc<Accounts>,
    server: Arc<Server>,
    clock: Arc<TestClock>,
    folder: tempfile::TempDir,
}

fn open(folder: tempfile::TempDir, clock: Arc<TestClock>) -> Bench {
    let store = Arc::new(Store::open(folder.path()).expect("opened"));
    let pool = StoragePool::new(StoragePoolLimits::default());
    let limits = AccountLimits {
        hasher: HasherLimits { cost: CHEAP, ..HasherLimits::default() },
        ..AccountLimits::default()
    };
    let accounts = Arc::new(Accounts::new(store.clone(), pool.clone(), clock.clone(), limits));
    let server = Arc::new(Server::default());
    let ports = EnrolmentPorts {
        accounts: accounts.clone(),
        users: store.clone(),
        store,
        pool,
        clock: clock.clone(),
        sender: Some(server.clone()),
    };
    let limits = EnrolmentLimits { is_open: true, ..EnrolmentLimits::default() };
    Bench { enrolment: Enrolment::new(ports, limits), accounts, server, clock, folder }
}

fn bench() -> Bench {
    open(tempfile::tempdir().expect("a folder"), Arc::new(TestClock(1_795_305_600_000.into())))
}

impl Bench {
    async fn asked(&self, kind: MailKind, to: &str) -> Result<(), ServiceError> {
        self.asked_from(kind, to, 7).await
    }

    async fn asked_from(&self, kind: MailKind, to: &str, from: u8) -> Result<(), ServiceError> {
        let from = IpAddr::V4(Ipv4Addr::new(203, 0, 113, from));
        self.enrolment.ask(kind, to.parse().expect("an address"), from).await
    }

    /// What is mailed now.
    async fn mailed(&self) -> Vec<(String, String)> {
        self.enrolment.send_due(&*self.server).await.expect("storage works");
        self.server.taken()
    }

    /// The token of the one mail that is sent now.
    async fn token(&self) -> Token {
        let mailed = self.mailed().await;
        let [(_, text)] = &mailed[..] else { panic!("one mail: {mailed:?}") };
        text.lines().find_map(Token::read).expect("a token on a line of its own")
    }
}

fn is_over<T>(outcome: &Result<T, ServiceError>) -> bool {
    matches!(outcome, Err(ServiceError::TokenOver))
}

#[tokio::test]
async fn a_mail_that_failed_is_tried_again_later_and_one_that_was_refused_is_not() {
    let bench = bench();
    bench.asked(MailKind::SignUp, ADA).await.expect("asked");
    bench.server.fails(false);
    assert!(bench.mailed().await.is_empty());
    bench.clock.pass_seconds(29);
    assert!(bench.mailed().await.is_empty(), "not yet");
    bench.clock.pass_seconds(1);
    bench.server.fails(false);
    assert!(bench.mailed().await.is_empty());
    bench.clock.pass_seconds(59);
    assert!(bench.mailed().await.is_empty(), "it waits for longer");
    bench.clock.pass_seconds(1);
    assert_eq!(bench.mailed().await.len(), 1);
    bench.clock.pass_seconds(86_400);
    assert!(bench.mailed().await.is_empty(), "once is enough");

    bench.asked(MailKind::SignUp, "eve@atelier.dev").await.expect("asked");
    bench.server.fails(false);
    assert!(bench.mailed().await.is_empty());
    bench.clock.pass_seconds(1);
    bench.asked(MailKind::Resend, "eve@atelier.dev").await.expect("asked");
    let later = bench.token().await;
    bench.clock.pass_seconds(30);
    assert!(bench.mailed().await.is_empty(), "the first has nothing to say any more");
    bench.enrolment.verify(&later, PASSWORD, "").await.expect("what was sent last stays good");

    bench.asked(MailKind::SignUp, "bob@atelier.dev").await.expect("asked");
    bench.server.fails(true);
    assert!(bench.mailed().await.is_empty());
    bench.clock.pass_seconds(86_400);
    assert!(bench.mailed().await.is_empty(), "its address is not taken");
}

#[tokio::test]
async fn mail_that_waits_survives_a_restart_and_is_given_up_after_a_day() {
    let first = bench();
    for address in [ADA, "bob@atelier.dev"] {
        first.asked(MailKind::SignUp, address).await.expect("asked");
    }
    first.server.fails(false);
    assert_eq!(first.mailed().await.len(), 1, "one failed");
    let Bench { folder, clock, enrolment, accounts, .. } = first;
    drop((enrolment, accounts));
    let second = open(folder, clock);
    second.clock.pass_seconds(30);
    assert_eq!(second.mailed().await.len(), 1, "it is sent after the restart");

    second.asked(MailKind::SignUp, "eve@atelier.dev").await.expect("asked");
    second.server.fails(false);
    assert!(second.mailed().await.is_empty());
    second.clock.pass_seconds(86_400);
    assert!(second.mailed().await.is_empty(), "it helps nobody any more");
}

#[tokio::test]
async fn a_token_is_good_once_for_a_time_and_a_newer_takes_its_place() {
    let bench = bench();
    bench.asked(MailKind::SignUp, ADA).await.expect("asked");
    let older = bench.token().await;
    bench.asked(MailKind::Resend, ADA).await.expect("asked");
    let token = bench.token().await;
    assert!(is_over(&bench.enrolment.verify(&older, PASSWORD, "").await));
    bench.clock.pass_seconds(86_399);
    let short = bench.enrolment.verify(&token, "short", "").await;
    assert!(matches!(short, Err(ServiceError::Invalid { .. })), "and it is good still: {short:?}");
    assert!(is_over(&bench.enrolment.reset(&token, PASSWORD).await), "it is for another use");
    let ada = bench.enrolment.verify(&token, PASSWORD, "").await.expect("an account").user;
    assert_eq!((ada.name.as_str(), ada.role, ada.verified.is_some()), (ADA, Role::User, true));
    assert!(is_over(&bench.enrolment.verify(&token, PASSWORD, "").await));

    bench.asked(MailKind::Reset, ADA).await.expect("asked");
    let reset = bench.token().await;
    bench.clock.pass_seconds(3_600);
    assert!(is_over(&bench.enrolment.reset(&reset, PASSWORD).await), "an hour has passed");
    bench.asked(MailKind::SignUp, "bob@atelier.dev").await.expect("asked");
    let late = bench.token().await;
    bench.clock.pass_seconds(86_400);
    assert!(is_over(&bench.enrolment.verify(&late, PASSWORD, "").await), "a day has passed");
}

#[tokio::test]
async fn who_has_no_account_or_one_already_is_told_by_mail_alone() {
    let bench = bench();
    let ada = bench.accounts.create_user(ADA, Role::User).await.expect("a user");
    bench.asked(MailKind::SignUp, ADA).await.expect("asked");
    let mailed = bench.mailed().await;
    assert!(mailed[0].1.contains("You have an account already"), "{mailed:?}");
    for (kind, to) in [(MailKind::Reset, "nobody@atelier.dev"), (MailKind::Resend, "nobody@atelier.dev")] {
        bench.asked(kind, to).await.expect("answered as any");
        assert!(bench.mailed().await.is_empty(), "{kind:?}");
    }
    for _ in 0..2 {
        bench.asked(MailKind::Resend, ADA).await.expect("answered as any");
    }
    assert!(bench.asked_from(MailKind::Resend, ADA, 9).await.is_ok());
    assert!(bench.asked_from(MailKind::Resend, ADA, 10).await.is_err(), "three an hour");
    assert!(bench.mailed().await.is_empty());
    bench.asked_from(MailKind::Reset, ADA, 11).await.expect("others' wishes keep nobody from a reset");
    assert_eq!(bench.mailed().await.len(), 1);
    bench.accounts.set_disabled(ada.id, true).await.expect("changed");
    for kind in [MailKind::SignUp, MailKind::Reset] {
        bench.clock.pass_seconds(3_600);
        bench.asked(kind, ADA).await.expect("answered as any");
        assert!(bench.mailed().await.is_empty(), "{kind:?} of one who is disabled");
    }
}

#[tokio::test]
async fn sign_ups_and_mail_are_limited_by_address_and_mailbox_whoever_has_it() {
    let bench = bench();
    let limited = |outcome: Result<(), ServiceError>| match outcome {
        Ok(()) => None,
        Err(ServiceError::RateLimited(taken)) => Some((taken.limit, taken.window.as_secs())),
        Err(error) => panic!("{error}"),
    };
    for n in 0..3 {
        let to = format!("a{n}@atelier.dev");
        assert_eq!(limited(bench.asked(MailKind::SignUp, &to).await), None);
    }
    let hour = Some((3, 3_600));
    assert_eq!(limited(bench.asked(MailKind::SignUp, "a3@atelier.dev").await), hour, "three an hour sign up");
    for n in 0..2 {
        let to = format!("a{n}@atelier.dev");
        assert_eq!(limited(bench.asked(MailKind::Resend, &to).await), None);
    }
    let ten_minutes = Some((5, 600));
    assert_eq!(limited(bench.asked(MailKind::Reset, "a4@atelier.dev").await), ten_minutes, "five mails");
    for (from, expected) in [(8, None), (9, None), (10, None), (11, hour)] {
        let outcome = bench.asked_from(MailKind::Reset, "nobody@atelier.dev", from).await;
        assert_eq!(limited(outcome), expected, "three to one mailbox, from wherever they are asked for");
    }
    bench.clock.pass_seconds(3_600);
    assert_eq!(limited(bench.asked(MailKind::SignUp, "a3@atelier.dev").await), None);
    assert_eq!(Duration::from_secs(600), EnrolmentLimits::default().mails.window);
}
