//! What is said in mail.

use std::time::Duration;

use atelier_domain::account::email::EmailAddress;
use atelier_domain::account::token::Token;
use atelier_domain::id::MailId;
use atelier_domain::mail::Mail;

/// Where in an address of a page its token goes.
pub const TOKEN_PLACE: &str = "{token}";

/// Pages of the operator's own, with [`TOKEN_PLACE`] in their addresses, which send what they are given to this server.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    pub verify: Option<String>,
    pub reset: Option<String>,
}

/// To whoever wants to sign up.
pub(super) fn verify(id: MailId, to: EmailAddress, pages: &Pages, token: &Token, lasts: Duration) -> Mail {
    let text = format!(
        "Hello,\n\nsomebody, hopefully you, wants to sign up with this address. To go on, choose a password {}\n\n\
         This works once, and for {}.\n\nIf it was not you, there is nothing to do: no account is made.\n",
        place(pages.verify.as_deref(), token),
        span(lasts),
    );
    Mail { id, to, subject: "Please confirm your address", text }
}

/// To whoever wants to sign up and has an account.
pub(super) fn known(id: MailId, to: EmailAddress) -> Mail {
    let text = "Hello,\n\nsomebody, hopefully you, wants to sign up with this address. You have an account already: sign in with this address \
                and your password. If you have forgotten it, ask for another one where you sign in.\n\nIf it was not you, there is nothing \
                to do: whoever it was has not learned that you have an account.\n";
    Mail { id, to, subject: "You have an account already", text: text.to_owned() }
}

/// To whoever has forgotten their password.
pub(super) fn reset(id: MailId, to: EmailAddress, pages: &Pages, token: &Token, lasts: Duration) -> Mail {
    let text = format!(
        "Hello,\n\nsomebody, hopefully you, has forgotten the password of the account with this address. To go on, choose another one {}\n\n\
         This works once, and for {}. It ends all sessions that are open.\n\nIf it was not you, there is nothing to do: your password stays \
         as it is.\n",
        place(pages.reset.as_deref(), token),
        span(lasts),
    );
    Mail { id, to, subject: "Choose another password", text }
}

fn place(page: Option<&str>, token: &Token) -> String {
    match page {
        Some(page) => format!("here:\n\n{}", page.replace(TOKEN_PLACE, token.reveal())),
        None => format!("where you were asked for this code:\n\n{}", token.reveal()),
    }
}

fn span(lasts: Duration) -> String {
    match lasts.as_secs() / 60 {
        minutes @ 0..120 => format!("{minutes} minutes"),
        minutes => format!("{} hours", minutes / 60),
    }
}
