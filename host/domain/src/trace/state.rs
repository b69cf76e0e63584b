//! What tracing systems along the way noted for themselves: the header `tracestate`.

use std::fmt;
use std::sync::Arc;

/// Members of a list, which the specification bounds (§3.3.1.1).
const MEMBERS_MAX: usize = 32;
/// Characters of the whole: as many as everybody has to pass on (§3.3.1.5). More is not taken.
const CHARACTERS_MAX: usize = 512;
const KEY_CHARACTERS_MAX: usize = 256;
const VALUE_CHARACTERS_MAX: usize = 256;

/// A well-formed list. It belongs to a `traceparent`, without which it means nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceState(Arc<str>);

impl TraceState {
    /// Reads the lines of a header, in their order. `None` where there is no member, or anything is malformed: then all of it is left out.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut members: Vec<(&str, &str)> = Vec::new();
        for member in lines.into_iter().flat_map(|line| line.split(',')) {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=')?;
            let is_known = members.iter().any(|(known, _)| *known == key);
            if is_known || members.len() == MEMBERS_MAX || !is_key(key) || !is_value(value) {
                return None;
            }
            members.push((key, value));
        }
        let text: Vec<String> = members.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let text = text.join(",");
        (1..=CHARACTERS_MAX).contains(&text.len()).then(|| Self(text.into()))
    }

    /// As one line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceState({} bytes)", self.0.len())
    }
}

/// §3.3.1.3.1: a simple key, or a tenant's at a system.
fn is_key(key: &str) -> bool {
    let is_good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/');
    let is_name = |name: &str, may_begin_with_digit: bool| {
        let first = name.bytes().next();
        first.is_some_and(|byte| byte.is_ascii_lowercase() || may_begin_with_digit && byte.is_ascii_digit())
            && name.bytes().all(is_good)
    };
    match key.split_once('@') {
        None => key.len() <= KEY_CHARACTERS_MAX && is_name(key, false),
        Some((tenant, system)) => {
            tenant.len() <= 241 && system.len() <= 14 && is_name(tenant, true) && is_name(system, false)
        }
    }
}

/// §3.3.1.3.2: printable ASCII without comma and equals sign, and no space at its end.
fn is_value(value: &str) -> bool {
    (1..=VALUE_CHARACTERS_MAX).contains(&value.len())
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=')
        && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<String> {
        TraceState::parse(lines.iter().copied()).map(|state| state.as_str().to_owned())
    }

    #[test]
    fn lines_are_one_list_without_what_is_empty() {
        assert_eq!(read(&["congo=t61rcWkgMzE"]), Some("congo=t61rcWkgMzE".to_owned()));
        assert_eq!(
            read(&["rojo=00f067aa0ba902b7 ,\t congo=a b", "", "fw529a3039@dt=FfAA:*"]),
            Some("rojo=00f067aa0ba902b7,congo=a b,fw529a3039@dt=FfAA:*".to_owned())
        );
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[", ,"]), None);
    }

    #[test]
    fn what_is_malformed_or_too_long_is_left_out_as_a_whole() {
        let long = format!("a={}", "x".repeat(257));
        let (many, whole): (Vec<_>, Vec<_>) = (
            (0..33).map(|i| format!("k{i}=v")).collect(),
            (0..3).map(|i| format!("k{i}={}", "x".repeat(200))).collect(),
        );
        for bad in [
            "a",
            "=a",
            "a=",
            "A=b",
            "1a=b",
            "a=b=c",
            "a=b,a=c",
            "a =b",
            "a=é",
            "a=\u{1}",
            "a@=b",
            "@a=b",
            "a@b@c=d",
            &long,
            &many.join(","),
            &whole.join(","),
        ] {
            assert_eq!(read(&[bad]), None, "{bad}");
            assert_eq!(read(&["good=1", bad]), None, "{bad}");
        }
        assert!(read(&[&many[..32].join(",")]).is_some());
    }
}
