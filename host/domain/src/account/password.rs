//! What may be a password (NIST SP 800-63B §5.1.1.2): long enough, not one that everybody tries first, and no other rules.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

/// Characters of a password, counted as code points after normalisation.
pub const PASSWORD_CHARACTERS_MIN: usize = 12;
pub const PASSWORD_CHARACTERS_MAX: usize = 128;
/// Bytes that are looked at; the longest password has fewer, whatever its script.
const BYTES_MAX: usize = 4 * PASSWORD_CHARACTERS_MAX * 3;
/// A password of fewer different characters is a repetition.
const DIFFERENT_MIN: usize = 5;

/// Long enough, and among the first that are tried nevertheless. Compared without case.
const COMMON: [&str; 24] = [
    "passwordpassword",
    "password1234",
    "password12345",
    "password123456",
    "passw0rdpassw0rd",
    "passwort1234",
    "qwertyuiop123",
    "qwertyuiop12",
    "qwertyuiopasdf",
    "qwertyqwerty",
    "asdfghjkl123",
    "1qaz2wsx3edc",
    "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u8i",
    "zaq12wsxcde3",
    "letmeinletmein",
    "iloveyou1234",
    "iloveyouforever",
    "administrator",
    "administrator1",
    "welcome12345",
    "changeme1234",
    "changemechangeme",
    "correcthorsebatterystaple",
];

/// A password as its owner typed it, in Unicode's form NFKC, so that every keyboard gives the same one. It prints as dots.
#[derive(Clone)]
pub struct Password(String);

/// Why a text is no password. Nothing of it is in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    #[error("a password has at least {PASSWORD_CHARACTERS_MIN} characters")]
    TooShort,
    #[error("a password has at most {PASSWORD_CHARACTERS_MAX} characters")]
    TooLong,
    #[error("a password has no control characters, such as line breaks")]
    Control,
    #[error(
        "this password is among the first that are tried: a few words that have nothing to do with each other are better"
    )]
    Guessed,
}

impl Password {
    /// A password that is to be set for the user of that name.
    ///
    /// # Errors
    /// It is too short or too long, or easily guessed.
    pub fn new(text: &str, user: &str) -> Result<Self, BadPassword> {
        let password = Self::attempt(text)?;
        match password.0.chars().count() {
            ..PASSWORD_CHARACTERS_MIN => Err(BadPassword::TooShort),
            _ if password.is_guessed(user) => Err(BadPassword::Guessed),
            _ => Ok(password),
        }
    }

    /// A password that somebody signs in with: what could never be one is refused, whoever it is for.
    ///
    /// # Errors
    /// It is too long, or has control characters.
    pub fn attempt(text: &str) -> Result<Self, BadPassword> {
        if text.len() > BYTES_MAX {
            return Err(BadPassword::TooLong);
        }
        let normal: String = text.nfkc().collect();
        if normal.chars().count() > PASSWORD_CHARACTERS_MAX {
            return Err(BadPassword::TooLong);
        }
        if normal.chars().any(char::is_control) {
            return Err(BadPassword::Control);
        }
        Ok(Self(normal))
    }

    /// The text that is hashed.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn is_guessed(&self, user: &str) -> bool {
        let folded = self.0.to_lowercase();
        let characters: Vec<char> = folded.chars().collect();
        let mut different = characters.clone();
        different.sort_unstable();
        different.dedup();
        // Each a step from the one before: `abcdefghijkl`, `210987654321`.
        let steps = |step: i64| {
            characters.array_windows::<2>().all(|[a, b]| {
                let difference = i64::from(u32::from(*b)) - i64::from(u32::from(*a));
                difference == step || difference == -9 * step
            })
        };
        let user = user.to_lowercase();
        let mailbox = user.split('@').next().unwrap_or_default();
        let is_name = |name: &str| {
            !name.is_empty() && folded.replace(name, "").chars().count() < PASSWORD_CHARACTERS_MIN / 2
        };
        different.len() < DIFFERENT_MIN
            || steps(1)
            || steps(-1)
            || COMMON.contains(&folded.as_str())
            || is_name(&user)
            || is_name(mailbox)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> BadPassword {
        Password::new(text, "ada").expect_err(text)
    }

    #[test]
    fn a_password_has_12_to_128_characters_of_any_kind() {
        assert!(Password::new("plum orbit 7", "ada").is_ok(), "12");
        assert!(Password::new("all in lower case without a digit", "ada").is_ok(), "no composition rules");
        let long: String = "plum orbit 7".chars().cycle().take(128).collect();
        assert!(Password::new(&long, "ada").is_ok(), "128");
        assert_eq!(refused("plum orbit "), BadPassword::TooShort, "11");
        assert_eq!(refused(&format!("{long}x")), BadPassword::TooLong, "129");
        assert_eq!(refused(&"x".repeat(10_000_000)), BadPassword::TooLong);
        assert_eq!(refused("plum orbit\n7 lantern"), BadPassword::Control);
        // Characters are counted, not bytes.
        assert!(Password::new("пёс грызёт мо", "ada").is_ok());
        assert_eq!(refused("пёс грызёт"), BadPassword::TooShort);
    }

    #[test]
    fn a_password_is_the_same_however_a_keyboard_composes_it() {
        let composed = Password::new("caf\u{e9} lantern orbit", "ada").expect("good");
        let apart = Password::new("cafe\u{301} lantern orbit", "ada").expect("good");
        let wide = Password::new("caf\u{e9} lantern \u{ff4f}rbit", "ada").expect("good");
        assert_eq!(composed.reveal(), apart.reveal());
        assert_eq!(composed.reveal(), wide.reveal());
    }

    #[test]
    fn common_and_repeated_passwords_are_refused() {
        for bad in [
            "aaaaaaaaaaaa",
            "abababababab",
            "121212121212",
            "123456789012",
            "abcdefghijklm",
            "987654321098",
            "PasswordPassword",
            "CorrectHorseBatteryStaple",
        ] {
            assert_eq!(refused(bad), BadPassword::Guessed, "{bad}");
        }
        let name = "ada.lovelace@analytical.org";
        for bad in [name, "ada.lovelace1", "ada.lovelace2026"] {
            assert_eq!(Password::new(bad, name).expect_err(bad), BadPassword::Guessed, "{bad}");
        }
        assert_eq!(format!("{:?}", Password::attempt("plum orbit 7 lantern").expect("good")), "Password(…)");
    }
}
