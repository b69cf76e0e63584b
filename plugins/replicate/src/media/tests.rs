use super::*;
use crate::api::tests::context;
use atelier_plugin_sdk::media::Input;
use atelier_plugin_sdk::{Media, MediaSource};
use serde_json::{Value, json};

fn request(model: &str) -> Request {
    Request {
        model: model.to_owned(),
        task: "image-generation".to_owned(),
        prompt: Some("a \"cat\"".to_owned()),
        negative_prompt: None,
        inputs: Vec::new(),
        count: 1,
        size: None,
        aspect_ratio: None,
        duration_ms: None,
        seed: None,
        quality: None,
        format: None,
        background: None,
        previews: 0,
        end_user: None,
        options: "{}".to_owned(),
    }
}

fn input(role: &str, url: &str) -> Input {
    let source = MediaSource::Url(url.to_owned());
    Input { role: role.to_owned(), media: Media::new(source, None) }
}

fn found(names: &[(&str, bool)]) -> Found {
    Found {
        inputs: Some(names.iter().map(|(name, list)| ((*name).to_owned(), *list)).collect()),
        version: None,
    }
}

fn sent(found: &Found, request: &Request) -> Result<(String, Value), Failure> {
    let mut context = context("{}");
    context.callback_url = Some("https://host.example/hooks/1".to_owned());
    let uploads = vec![None; request.inputs.len()];
    let id = ModelId::parse(&request.model)?;
    let (path, body) = body(&Api::new(&context)?, &id, found, request, &uploads)?;
    Ok((path, serde_json::from_str(&body.into_string().unwrap()).unwrap()))
}

#[test]
fn an_official_model_is_called_by_name_and_any_by_version() {
    let (path, body) = sent(&Found::unknown(), &request("a/b")).unwrap();
    assert_eq!(path, "/models/a/b/predictions");
    let expected = json!({
        "input": {"prompt": "a \"cat\""},
        "webhook": "https://host.example/hooks/1", "webhook_events_filter": ["completed"],
    });
    assert_eq!(body, expected);
    let (path, body) = sent(&Found::unknown(), &request("a/b:5c7d")).unwrap();
    assert_eq!((path.as_str(), &body["version"]), ("/predictions", &json!("5c7d")));
    let community = Found { version: Some("latest".to_owned()), ..Found::unknown() };
    let (path, body) = sent(&community, &request("a/b")).unwrap();
    assert_eq!((path.as_str(), &body["version"]), ("/predictions", &json!("latest")));
}

#[test]
fn every_field_goes_to_the_input_of_its_name() {
    let mut request = request("a/b");
    request.negative_prompt = Some("dogs".to_owned());
    request.count = 3;
    request.size = Some("640x480".to_owned());
    request.aspect_ratio = Some("4:3".to_owned());
    request.duration_ms = Some(2_500);
    request.seed = Some(-7);
    request.quality = Some("high".to_owned());
    request.format = Some("webp".to_owned());
    request.background = Some("opaque".to_owned());
    request.options = r#"{"guidance":3.5}"#.to_owned();
    let names = [
        "text",
        "negative_prompt",
        "num_images",
        "width",
        "height",
        "aspect_ratio",
        "duration",
        "seed",
        "quality",
        "output_format",
        "background",
    ];
    let (_, body) = sent(&found(&names.map(|name| (name, false))), &request).unwrap();
    let expected = json!({
        "text": "a \"cat\"", "negative_prompt": "dogs", "num_images": 3, "width": 640, "height": 480,
        "aspect_ratio": "4:3", "duration": 2.5, "seed": -7, "quality": "high", "output_format": "webp",
        "background": "opaque", "guidance": 3.5,
    });
    assert_eq!(body["input"], expected);
}

#[test]
fn what_a_model_has_no_input_for_is_refused_by_name() {
    let only_prompt = found(&[("prompt", false)]);
    let refused = |change: fn(&mut Request)| {
        let mut request = request("a/b");
        change(&mut request);
        let failure = sent(&only_prompt, &request).unwrap_err();
        (failure.code, failure.param.unwrap())
    };
    let unsupported = |param: &str| ("unsupported".to_owned(), param.to_owned());
    assert_eq!(refused(|request| request.seed = Some(1)), unsupported("seed"));
    assert_eq!(refused(|request| request.count = 2), unsupported("count"));
    assert_eq!(refused(|request| request.size = Some("1x1".to_owned())), unsupported("size"));
    assert_eq!(refused(|request| request.inputs = vec![input("image", "u")]), unsupported("inputs.0"));
    let role = refused(|request| request.inputs = vec![input("smell", "u")]);
    assert_eq!(role, ("invalid-request".to_owned(), "inputs.0".to_owned()));
    let own = refused(|request| request.options = r#"{"prompt":"other"}"#.to_owned());
    assert_eq!(own, ("invalid-request".to_owned(), "options.prompt".to_owned()));
}

#[test]
fn media_take_the_first_free_name_of_their_role_and_lists_take_several() {
    let mut request = request("a/b");
    request.inputs =
        vec![input("image", "u1"), input("image", "u2"), input("first-frame", "u3"), input("mask", "u4")];
    let lists = found(&[
        ("prompt", false),
        ("input_images", true),
        ("image", false),
        ("start_image", false),
        ("mask", false),
    ]);
    let (_, body) = sent(&lists, &request).unwrap();
    let expected = json!({"prompt": "a \"cat\"", "image": "u1", "input_images": ["u2"], "start_image": "u3", "mask": "u4"});
    assert_eq!(body["input"], expected);

    request.inputs = vec![input("reference", "u1"), input("reference", "u2")];
    let (_, body) = sent(&found(&[("prompt", false), ("image_input", true)]), &request).unwrap();
    assert_eq!(body["input"]["image_input"], json!(["u1", "u2"]));
    let one = found(&[("prompt", false), ("reference_image", false)]);
    assert_eq!(sent(&one, &request).unwrap_err().param.as_deref(), Some("inputs.1"));
}

#[test]
fn malformed_sizes_are_refused() {
    let sized = found(&[("prompt", false), ("width", false), ("height", false)]);
    for size in ["640", "0x10", "axb", "1x2x3"] {
        let mut request = request("a/b");
        request.size = Some(size.to_owned());
        assert_eq!(sent(&sized, &request).unwrap_err().code, "invalid-request", "{size}");
    }
}
