//! Against the published test suite of Signature Version 4: its credentials, its moment, its signatures.

use bytes::Bytes;
use futures::executor::block_on;

use super::*;

/// 2015-08-30T12:36:00Z
const MOMENT: Timestamp = Timestamp(1_440_938_160_000);

fn signer(service: &str, more: &str) -> SigV4 {
    let spec = SigV4Spec {
        service: service.to_owned(),
        region: Some("us-east-1".to_owned()),
        region_setting: None,
        unsigned_payload: service == "s3",
    };
    let secret = format!("AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY{more}");
    SigV4::new(&spec, &secret, &Settings::new()).expect("good credentials")
}

fn request(method: &str, url: &str, headers: &[(&'static str, &str)], body: &str) -> OutgoingRequest {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).expect("a value"));
    }
    OutgoingRequest {
        method: method.parse().expect("a method"),
        url: Url::parse(url).expect("a URL"),
        headers: map,
        body: OutgoingBody::full(Bytes::from(body.to_owned())),
        request_id: None,
        depth: 0,
        trace: None,
    }
}

fn signed(signer: &SigV4, mut request: OutgoingRequest) -> (String, HeaderMap) {
    let signature = block_on(signer.sign(&mut request, MOMENT)).expect("signed");
    (signature, request.headers)
}

#[test]
fn the_published_test_suite_is_signed_as_published() {
    const AT: &str = "https://example.amazonaws.com";
    const FORM: &str = "application/x-www-form-urlencoded";
    let unreserved = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (name, method, path, headers, body, expected) in [
        (
            "get-vanilla",
            "GET",
            "/",
            vec![],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-vanilla-query-order-key-case",
            "GET",
            "/?Param2=value2&Param1=value1",
            vec![],
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-vanilla-query-order-key",
            "GET",
            "/?Param1=value2&Param1=Value1",
            vec![],
            "",
            "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1",
        ),
        (
            "get-vanilla-query-order-value",
            "GET",
            "/?Param1=value2&Param1=value1",
            vec![],
            "",
            "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
        ),
        (
            "get-vanilla-empty-query-key",
            "GET",
            "/?Param1=value1",
            vec![],
            "",
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
        (
            "get-unreserved",
            "GET",
            unreserved,
            vec![],
            "",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        (
            "get-slashes",
            "GET",
            "//example//",
            vec![],
            "",
            "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
        ),
        (
            "get-relative",
            "GET",
            "/example/..",
            vec![],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-header-key-duplicate",
            "GET",
            "/",
            vec![("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "get-header-value-trim",
            "GET",
            "/",
            vec![("my-header1", " value1"), ("my-header2", "\"a   b   c\"")],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "post-vanilla",
            "POST",
            "/",
            vec![],
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-vanilla-query",
            "POST",
            "/?Param1=value1",
            vec![],
            "",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "post-x-www-form-urlencoded",
            "POST",
            "/",
            vec![("content-type", FORM)],
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "post-x-www-form-urlencoded-parameters",
            "POST",
            "/",
            vec![("content-type", "application/x-www-form-urlencoded; charset=utf8")],
            "Param1=value1",
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
        ),
        (
            "post-header-key-sort",
            "POST",
            "/",
            vec![("my-header1", "value1")],
            "",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
    ] {
        let (signature, headers) =
            signed(&signer("service", ""), request(method, &format!("{AT}{path}"), &headers, body));
        assert_eq!(signature, expected, "{name}");
        let authorization = headers[AUTHORIZATION].to_str().expect("ASCII");
        let begins =
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=";
        assert!(authorization.starts_with(begins), "{name}: {authorization}");
        assert!(headers[AUTHORIZATION].is_sensitive());
    }
}

#[test]
fn a_session_token_is_sent_and_signed() {
    // post-sts-header-before
    let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
    let signer = signer("service", &format!(":{token}"));
    let (signature, headers) = signed(&signer, request("POST", "https://example.amazonaws.com/", &[], ""));
    assert_eq!(signature, "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead");
    assert_eq!(headers[AMZ_TOKEN], token);
}

#[test]
fn a_path_is_encoded_twice_but_for_s3() {
    let url = Url::parse("https://example.amazonaws.com/model/a:b%20c").expect("a URL");
    assert_eq!(signer("bedrock", "").path(url.path()), "/model/a%3Ab%2520c");
    assert_eq!(signer("s3", "").path(url.path()), "/model/a%3Ab%20c");
    // get-utf8, as it is sent to S3
    let url = Url::parse("https://example.amazonaws.com/\u{1234}").expect("a URL");
    assert_eq!(signer("s3", "").path(url.path()), "/%E1%88%B4");
}

#[test]
fn a_body_that_lies_in_a_file_goes_unhashed_to_s3_over_tls_alone() {
    use crate::egress::body::Segment;
    use atelier_domain::blob::{Blob, BlobData};

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("blob");
    std::fs::write(&path, b"Param1=value1").expect("written");
    let in_memory = Blob::in_memory("text/plain", Bytes::from_static(b"Param1=value1"));
    let blob = Blob { data: BlobData::File { path, keep: None }, ..in_memory.clone() };
    let with = |url: &str, blob: &Blob| {
        let mut request = request("PUT", url, &[], "");
        request.body = OutgoingBody::from_segments([Segment::Blob(blob.clone(), 0, blob.size)]);
        request
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let told = |service: &str, url: &str, blob: &Blob| {
        let mut request = with(url, blob);
        runtime.block_on(signer(service, "").sign(&mut request, MOMENT)).expect("signed");
        request.headers.get(AMZ_CONTENT).map(|value| value.to_str().expect("ASCII").to_owned())
    };
    let hash = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
    assert_eq!(told("s3", "https://b.s3.amazonaws.com/k", &blob).as_deref(), Some(UNSIGNED));
    assert_eq!(told("s3", "http://b.s3.amazonaws.com/k", &blob).as_deref(), Some(hash));
    assert_eq!(told("s3", "https://b.s3.amazonaws.com/k", &in_memory).as_deref(), Some(hash));
    assert_eq!(told("bedrock", "https://b.amazonaws.com/k", &blob), None);
    // The other services find the hash in the signature: the same for the same bytes, wherever they lie.
    let sign = |blob: &Blob| {
        let mut request = with("https://b.amazonaws.com/k", blob);
        runtime.block_on(signer("bedrock", "").sign(&mut request, MOMENT)).expect("signed")
    };
    assert_eq!(sign(&blob), sign(&in_memory));
}

#[test]
fn credentials_that_are_none_are_refused_without_being_told() {
    let spec = |region: Option<&str>, setting: Option<&str>| SigV4Spec {
        service: "bedrock".to_owned(),
        region: region.map(str::to_owned),
        region_setting: setting.map(str::to_owned),
        unsigned_payload: false,
    };
    for secret in ["wJalrXUtnFEMI", ":wJalrXUtnFEMI", "AKID:", "AK ID:wJalrXUtnFEMI", "AKID:wJal:\n"] {
        let why =
            SigV4::new(&spec(Some("us-east-1"), None), secret, &Settings::new()).expect_err("malformed");
        assert!(!why.contains("wJal"), "{why}");
    }
    let mut settings = Settings::new();
    let good = "AKID:wJalrXUtnFEMI";
    let why = SigV4::new(&spec(None, Some("region")), good, &settings).expect_err("no region");
    assert!(why.contains("\"region\""), "{why}");
    settings.insert("region".to_owned(), "eu-central-1".into());
    let signer = SigV4::new(&spec(Some("us-east-1"), Some("region")), good, &settings).expect("good");
    assert_eq!(signer.scope("20150830T123600Z"), "20150830/eu-central-1/bedrock/aws4_request");
    assert!(!format!("{signer:?}").contains("wJal"));
    settings.insert("region".to_owned(), "eu/../x".into());
    assert!(SigV4::new(&spec(None, Some("region")), good, &settings).is_err());
}
