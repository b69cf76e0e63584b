//! Thumbnails and peaks through the listener.

use std::io::Cursor;

use atelier_domain::account::Scope;
use image::{DynamicImage, ImageFormat, RgbImage};
use reqwest::Response;
use serde_json::{Value, json};

use crate::files::{host, upload};
use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted};

fn picture() -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = DynamicImage::ImageRgb8(RgbImage::new(1_000, 500));
    image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("written");
    bytes
}

/// A second of 16-bit samples, one channel, 8,000 of them.
fn sound() -> Vec<u8> {
    let mut bytes =
        b"RIFF\xa4\x3e\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x80\x3e\0\0"
            .to_vec();
    bytes.extend_from_slice(&[0x55; 16_000]);
    bytes
}

async fn get(host: &TestHost, key: &str, path: &str) -> Response {
    host.client.get(host.url(path)).bearer_auth(key).send().await.expect("answered")
}

async fn is_small_picture(answer: Response) {
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "image/jpeg");
    assert!(answer.headers()["content-security-policy"].to_str().expect("text").contains("sandbox"));
    let small = image::load_from_memory(&answer.bytes().await.expect("a body")).expect("an image");
    assert_eq!((small.width(), small.height()), (512, 256));
}

#[tokio::test]
async fn files_are_shown_small_to_their_owner_alone() {
    let host = host("").await;
    let bob = host.user_key("bob", &[Scope::Read, Scope::Generate]).await;
    let path = |file: &Value, what: &str| format!("/v1/files/{}/{what}", file["id"].as_str().expect("an id"));
    let image = upload(&host, &host.key, "vision", "a.png", &picture()).await;
    let small = get(&host, &host.key, &path(&image, "thumbnail")).await;
    let tag = small.headers()["etag"].clone();
    is_small_picture(small).await;
    let again =
        host.get(&path(&image, "thumbnail")).header("if-none-match", tag).send().await.expect("answered");
    assert_eq!(again.status(), 304, "it is kept");
    let sound = upload(&host, &host.key, "user_data", "a.wav", &sound()).await;
    let peaks = body(get(&host, &host.key, &path(&sound, "peaks")).await, 200).await;
    assert_eq!(peaks["duration_ms"], 1_000);
    assert!(peaks["peaks"].as_array().expect("a list").iter().all(|peak| *peak == 170), "{peaks}");

    let text = upload(&host, &host.key, "user_data", "a.txt", b"words").await;
    let broken = upload(&host, &host.key, "vision", "b.png", &picture()[..60]).await;
    for (file, what, key) in [
        (&image, "thumbnail", &bob),
        (&sound, "peaks", &bob),
        (&image, "peaks", &host.key),
        (&sound, "thumbnail", &host.key),
        (&text, "thumbnail", &host.key),
        (&broken, "thumbnail", &host.key),
        (&broken, "thumbnail", &host.key),
    ] {
        let told = body(get(&host, key, &path(file, what)).await, 404).await;
        assert_eq!(told["error"]["code"], "not_found", "{file} {what}");
    }
    let unknown = host.client.get(host.url(&path(&image, "thumbnail"))).send().await.expect("answered");
    assert_eq!(unknown.status(), 401);
    host.stop().await;
}

#[tokio::test]
async fn a_link_shows_its_picture_small_until_it_is_revoked() {
    let host = host("").await;
    let open = async |path: &str| host.client.get(host.url(path)).send().await.expect("answered");
    let link = async |file: &Value| {
        let made =
            host.post("/api/v1/links", &json!({"file_id": file["id"]})).send().await.expect("answered");
        body(made, 201).await
    };
    let image = link(&upload(&host, &host.key, "vision", "a.png", &picture()).await).await;
    let path = format!("{}/thumbnail", image["url"].as_str().expect("a path"));
    is_small_picture(open(&path).await).await;
    let text = link(&upload(&host, &host.key, "user_data", "a.txt", b"words").await).await;
    let none = open(&format!("{}/thumbnail", text["url"].as_str().expect("a path"))).await;
    assert_eq!(body(none, 404).await["code"], "unknown_url");
    let revoke = format!("/api/v1/links/{}/revoke", image["id"].as_str().expect("an id"));
    assert_eq!(host.post(&revoke, &Value::Null).send().await.expect("answered").status(), 204);
    assert_eq!(open(&path).await.status(), 404);
    host.stop().await;
}

#[tokio::test]
async fn outputs_say_where_they_are_shown_small() {
    let host = host("").await;
    host.put("scripted", Scripted::new([Act::Made("image/png", picture())])).await;
    let ada = host.user_key("ada", &[Scope::Read, Scope::Generate]).await;
    let request = json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat"});
    let made =
        host.client.post(host.url("/api/v1/generations")).bearer_auth(&ada).json(&request).send().await;
    let made = body(made.expect("answered"), 202).await;
    let path = format!("/api/v1/generations/{}", made["id"].as_str().expect("an id"));
    let done = loop {
        let job = body(get(&host, &ada, &path).await, 200).await;
        if !job["finished"].is_null() {
            break job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let output = &done["outputs"][0];
    let small = output["thumbnail"].as_str().expect("a path");
    assert_eq!((small, &output["peaks"]), (format!("{path}/outputs/0/thumbnail").as_str(), &Value::Null));
    is_small_picture(get(&host, &ada, small).await).await;
    assert_eq!(get(&host, &host.key, small).await.status(), 404, "another's job is none");
    for other in ["outputs/1/thumbnail", "outputs/0/peaks"] {
        assert_eq!(get(&host, &ada, &format!("{path}/{other}")).await.status(), 404, "{other}");
    }
    host.stop().await;
}
