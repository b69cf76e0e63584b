//! Signatures of Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use atelier_domain::webhook::SigningSecret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// The value of `webhook-signature`: one for each secret, of `ID.SECONDS.BODY`.
pub(super) fn of<'a>(
    secrets: impl Iterator<Item = &'a SigningSecret>,
    id: &str,
    seconds: u64,
    body: &[u8],
) -> String {
    let head = format!("{id}.{seconds}.");
    let signed = secrets.map(|secret| {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &secret.key()));
        context.update(head.as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn a_message_is_signed_as_the_reference_libraries_do() {
        let secret: SigningSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("a secret");
        let (id, seconds, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        let one = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(of([&secret].into_iter(), id, seconds, body), one);
        assert_eq!(of([&secret, &secret].into_iter(), id, seconds, body), format!("{one} {one}"));
    }
}
