//! Sessions in time, on the real store.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atelier_domain::account::{Role, Scope, browser_key};
use atelier_domain::store::CredentialStore as _;
use atelier_domain::time::Timestamp;
use atelier_service::accounts::{AccountLimits, Accounts, HashCost, HasherLimits, SignIn, SignedIn};
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use atelier_storage::Store;

use crate::clock::TestClock;

const PASSWORD: &str = "plum orbit 7 lantern";
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));
/// Made for tests: what is kept of a password here protects nobody.
const CHEAP: HashCost = HashCost { memory_kib: 64, passes: 1, lanes: 1 };

struct Bench {
    accounts: Accounts,
    store: Arc<Store>,
    clock: Arc<TestClock>,
    _folder: tempfile::TempDir,
}

fn limits(cost: HashCost) -> AccountLimits {
    AccountLimits {
        hasher: HasherLimits { cost, ..HasherLimits::default() },
        session_idle: Duration::from_secs(3_600),
        session_lasts: Duration::from_secs(86_400),
        sessions_per_user: 3,
        ..AccountLimits::default()
    }
}

fn accounts(store: &Arc<Store>, clock: &Arc<TestClock>, cost: HashCost) -> Accounts {
    let pool = StoragePool::new(StoragePoolLimits::default());
    Accounts::new(store.clone(), pool, clock.clone(), limits(cost))
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(Store::open(folder.path()).expect("opened"));
    let clock = Arc::new(TestClock(1_795_305_600_000.into()));
    let accounts = accounts(&store, &clock, CHEAP);
    let ada = accounts.create_user("ada", Role::User).await.expect("a user");
    accounts.set_password(ada.id, PASSWORD).await.expect("set");
    Bench { accounts, store, clock, _folder: folder }
}

impl Bench {
    async fn sign_in(&self) -> SignedIn {
        let sign_in =
            SignIn { name: "ada", password: PASSWORD, from: HERE, agent: "a browser\n", before: None };
        self.accounts.sign_in(sign_in).await.expect("signed in")
    }

    async fn is_over(&self, signed_in: &SignedIn) -> bool {
        match self.accounts.authenticate_session(&signed_in.token).await {
            Ok(_) => false,
            Err(ServiceError::SessionOver) => true,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_session_that_is_not_used_ends_and_so_does_one_that_is_old() {
    let bench = bench().await;
    let (used, unused) = (bench.sign_in().await, bench.sign_in().await);
    for _ in 0..26 {
        bench.clock.pass_seconds(3_300);
        assert!(!bench.is_over(&used).await);
    }
    assert!(bench.is_over(&unused).await);
    // Uses are noted beside the requests.
    let noted = Timestamp(bench.clock.0.load(Ordering::SeqCst));
    while bench.store.session_by_digest(&used.session.digest).expect("read").expect("there").0.last_used
        < noted
    {
        tokio::task::yield_now().await;
    }
    let going = bench.accounts.sessions(used.user.id).await.expect("read");
    assert_eq!(going.iter().map(|session| session.id).collect::<Vec<_>>(), [used.session.id]);
    bench.clock.pass_seconds(86_400 - 26 * 3_300 - 1);
    assert!(!bench.is_over(&used).await);
    bench.clock.pass_seconds(1);
    assert!(bench.is_over(&used).await, "however often it was used");
    let swept = bench.store.sweep_sessions(Timestamp(bench.clock.0.load(Ordering::SeqCst)), 10);
    assert_eq!(swept.expect("swept"), 2);
}

#[tokio::test]
async fn a_session_has_its_users_role_and_is_counted_as_their_browsers() {
    let bench = bench().await;
    let signed_in = bench.sign_in().await;
    assert_eq!(signed_in.session.agent, "a browser");
    let who = bench.accounts.authenticate_session(&signed_in.token).await.expect("signed in");
    let ada = signed_in.user.id;
    assert_eq!((who.principal.user, who.principal.key), (ada, browser_key(ada)));
    assert!(who.principal.may(Scope::Generate) && !who.principal.may(Scope::Admin));
    // What was begun with it goes on when it has ended, as long as its user may.
    bench.accounts.sign_out(&signed_in.token).await.expect("ended");
    let principal = bench.accounts.principal(ada, browser_key(ada)).await.expect("goes on");
    assert!(principal.may(Scope::Generate) && !principal.may(Scope::PluginAdmin));
    bench.accounts.set_disabled(ada, true).await.expect("disabled");
    assert!(bench.accounts.principal(ada, browser_key(ada)).await.is_err());
    let others = bench.accounts.principal(ada, browser_key(atelier_domain::id::UserId::new())).await;
    assert!(matches!(others, Err(ServiceError::KeyUnknown)), "{others:?}");
}

#[tokio::test]
async fn a_users_oldest_session_ends_where_one_more_begins() {
    let bench = bench().await;
    let first = bench.sign_in().await;
    for _ in 0..2 {
        bench.sign_in().await;
    }
    assert!(!bench.is_over(&first).await);
    let last = bench.sign_in().await;
    let kept = bench.accounts.sessions(first.user.id).await.expect("read");
    assert_eq!(kept.len(), 3);
    assert_eq!(kept[0].id, last.session.id);
    assert!(kept.iter().all(|session| session.id != first.session.id));
}

#[tokio::test]
async fn a_password_is_hashed_anew_at_the_first_sign_in_after_its_cost_was_raised() {
    let bench = bench().await;
    let ada = bench.sign_in().await.user.id;
    let before = bench.store.credentials(ada).expect("read");
    let raised = accounts(&bench.store, &bench.clock, HashCost { passes: 2, ..CHEAP });
    let sign_in = |password| SignIn { name: "ada", password, from: HERE, agent: "", before: None };
    raised.sign_in(sign_in("a wrong password")).await.expect_err("wrong");
    assert_eq!(bench.store.credentials(ada).expect("read"), before, "only who knows it can raise it");
    raised.sign_in(sign_in(PASSWORD)).await.expect("signed in");
    let after = bench.store.credentials(ada).expect("read");
    assert!(after.password.as_ref().expect("a password").0.contains("t=2"));
    assert_eq!((after.version, after.changed), (before.version, before.changed), "sessions go on");
    raised.sign_in(sign_in(PASSWORD)).await.expect("the same password");
}

#[tokio::test]
async fn a_session_is_stored_as_a_digest_alone() {
    let bench = bench().await;
    let signed_in = bench.sign_in().await;
    let (stored, _) = bench.store.session_by_digest(&signed_in.token.digest()).expect("read").expect("there");
    let written = format!("{stored:?} {}", serde_json::to_string(&stored).expect("JSON"));
    assert!(!written.contains(signed_in.token.reveal()) && !written.contains(&signed_in.token.csrf().text()));
}
