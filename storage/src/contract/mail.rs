//! The contract of [`MailStore`].

use atelier_domain::account::email::EmailAddress;
use atelier_domain::account::session::PasswordHash;
use atelier_domain::account::token::TokenDigest;
use atelier_domain::account::{Role, User};
use atelier_domain::id::MailId;
use atelier_domain::mail::{MailKind, MailToken, QueuedMail, TokenUse};
use atelier_domain::store::{AccountStore, CredentialStore, MailStore, StoreError};
use atelier_domain::time::Timestamp;

use super::sample;

/// The ports that mail goes through, on one store.
pub trait Port: AccountStore + CredentialStore + MailStore {}
impl<T: AccountStore + CredentialStore + MailStore> Port for T {}

fn address(text: &str) -> EmailAddress {
    text.parse().expect("an address")
}

fn mail(due: u64) -> QueuedMail {
    let (id, to) = (MailId::new(), address("ada@atelier.dev"));
    QueuedMail { id, to, kind: MailKind::SignUp, created: Timestamp(1), attempts: 0, due: Timestamp(due) }
}

fn token(byte: u8, purpose: TokenUse, to: &str, expires: u64) -> MailToken {
    let (digest, expires) = (TokenDigest([byte; 32]), Timestamp(expires));
    MailToken { digest, r#use: purpose, address: address(to), mail: MailId::new(), expires }
}

fn hash() -> PasswordHash {
    PasswordHash("hash".to_owned())
}

fn new_user(name: &str) -> User {
    User { role: Role::User, verified: Some(Timestamp(5)), ..sample::user(name) }
}

pub fn mail_is_due_in_its_order_and_again_after_a_failure(store: &dyn Port) {
    let (late, early) = (mail(20), mail(10));
    let first = std::slice::from_ref(&early);
    assert!(store.queue_mail(&late, 9).expect("queued") && store.queue_mail(&early, 9).expect("queued"));
    assert_eq!(store.due_mail(Timestamp(9), 9).expect("read"), []);
    assert_eq!(store.due_mail(Timestamp(10), 9).expect("read"), first);
    assert_eq!(store.due_mail(Timestamp(99), 9).expect("read"), [early.clone(), late.clone()]);
    assert_eq!(store.due_mail(Timestamp(99), 1).expect("read"), first);
    store.delay_mail(early.id, Timestamp(30)).expect("delayed");
    let again = QueuedMail { attempts: 1, due: Timestamp(30), ..early.clone() };
    assert_eq!(store.due_mail(Timestamp(99), 9).expect("read"), [late.clone(), again]);
    store.remove_mail(late.id).expect("removed");
    store.remove_mail(early.id).expect("removed");
    store.delay_mail(early.id, Timestamp(40)).expect("it is gone");
    assert_eq!(store.due_mail(Timestamp(99), 9).expect("read"), []);
}

pub fn so_much_mail_waits_and_no_more(store: &dyn Port) {
    assert!(store.queue_mail(&mail(1), 2).expect("queued"));
    assert!(store.queue_mail(&mail(1), 2).expect("queued"));
    assert!(!store.queue_mail(&mail(1), 2).expect("answered"));
    assert_eq!(store.due_mail(Timestamp(9), 9).expect("read").len(), 2);
}

pub fn a_newer_token_takes_the_place_of_an_older(store: &dyn Port) {
    let (older, newer) =
        (token(1, TokenUse::Verify, "ada@atelier.dev", 9), token(2, TokenUse::Verify, "ada@atelier.dev", 9));
    let other = token(3, TokenUse::Reset, "ada@atelier.dev", 9);
    for token in [&older, &other, &newer] {
        store.put_mail_token(token).expect("kept");
    }
    assert_eq!(store.mail_token(&older.digest).expect("read"), None);
    assert_eq!(store.mail_token(&other.digest).expect("read"), Some(other), "of another use");
    let of = store.mail_token_of(&newer.address, TokenUse::Verify).expect("read");
    assert_eq!(of, Some(newer));
}

pub fn a_token_makes_its_user_once(store: &dyn Port) {
    let token = token(1, TokenUse::Verify, "ada@atelier.dev", 9);
    store.put_mail_token(&token).expect("kept");
    let redeem = |user: &User, now: u64| store.redeem_sign_up(&token.digest, user, &hash(), Timestamp(now));
    assert!(!redeem(&new_user("bob@atelier.dev"), 5).expect("answered"), "another's address");
    store.put_mail_token(&token).expect("kept");
    assert!(!redeem(&new_user("ada@atelier.dev"), 9).expect("answered"), "it is over");
    assert!(redeem(&new_user("ada@atelier.dev"), 8).expect("answered"));
    let ada = store.user_by_name("ada@atelier.dev").expect("read").expect("there");
    assert_eq!(store.credentials(ada.id).expect("read").password, Some(hash()));
    assert!(!redeem(&new_user("ada@atelier.dev"), 8).expect("answered"), "it was used");
    store.put_mail_token(&token).expect("kept");
    let taken = redeem(&new_user("ada@atelier.dev"), 8);
    assert!(matches!(taken, Err(StoreError::Exists { .. })), "{taken:?}");
}

pub fn a_token_sets_its_users_password_once_and_ends_their_sessions(store: &dyn Port) {
    let ada = User { verified: None, ..sample::user("ada@atelier.dev") };
    store.create_user(&ada).expect("created");
    let session = sample::session(ada.id);
    store.create_session(&session, 9).expect("begun");
    let reset = token(1, TokenUse::Reset, "ada@atelier.dev", 9);
    let verify = token(2, TokenUse::Verify, "ada@atelier.dev", 9);
    store.put_mail_token(&reset).expect("kept");
    store.put_mail_token(&verify).expect("kept");
    let redeem = |digest, now: u64| store.redeem_reset(digest, &hash(), Timestamp(now));
    assert_eq!(redeem(&verify.digest, 5).expect("answered"), None, "of another use");
    assert_eq!(redeem(&reset.digest, 5).expect("answered"), Some(ada.id));
    assert_eq!(redeem(&reset.digest, 5).expect("answered"), None, "it was used");
    assert_eq!(store.credentials(ada.id).expect("read").password, Some(hash()));
    assert_eq!(store.session_by_digest(&session.digest).expect("read"), None);
    assert_eq!(store.user(ada.id).expect("read").expect("there").verified, Some(Timestamp(5)));
    let mut disabled = store.user(ada.id).expect("read").expect("there");
    disabled.disabled = true;
    store.update_user(&disabled).expect("changed");
    store.put_mail_token(&reset).expect("kept");
    assert_eq!(redeem(&reset.digest, 5).expect("answered"), None, "of a user who is disabled");
}

pub fn tokens_that_are_over_are_swept_so_many_at_a_time(store: &dyn Port) {
    let tokens: Vec<MailToken> =
        (1..=3).map(|n| token(n, TokenUse::Verify, &format!("a{n}@atelier.dev"), n.into())).collect();
    tokens.iter().for_each(|token| store.put_mail_token(token).expect("kept"));
    assert_eq!(store.sweep_mail_tokens(Timestamp(2), 1).expect("swept"), 1);
    assert_eq!(store.sweep_mail_tokens(Timestamp(2), 9).expect("swept"), 1);
    assert_eq!(store.sweep_mail_tokens(Timestamp(2), 9).expect("swept"), 0);
    let left: Vec<_> =
        tokens.iter().filter_map(|token| store.mail_token(&token.digest).expect("read")).collect();
    assert_eq!(left, tokens[2..]);
    assert_eq!(store.mail_token_of(&tokens[0].address, TokenUse::Verify).expect("read"), None);
}
