//! Pictures by in-house models: drawn, made larger, given up, and refused.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, RgbaImage};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::host::{TestHost, json as body, stable};

const FACES: &str = "local/dcgan-faces";
const LARGER: &str = "local/realesr-animevideov3-x2";
const STYLES: &str = "local/multistyle26";
const GENERATIONS: &str = "/api/v1/generations";

/// A host that may be asked often.
async fn host() -> TestHost {
    TestHost::edited(|text| {
        let text = text.replace("status = { requests = 120,", "status = { requests = 100000,");
        text.replace("generation = { requests = 10,", "generation = { requests = 1000,")
    })
    .await
}

/// A picture as a data URL.
fn url(image: DynamicImage, format: ImageFormat) -> String {
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), format).expect("written");
    format!("data:{};base64,{}", format.to_mime_type(), STANDARD.encode(bytes))
}

/// Soft colours.
fn drawing(width: u32, height: u32) -> DynamicImage {
    let wave = |at: u32| (128.0 + 100.0 * (f64::from(at) / 20.0).sin()) as u8;
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| Rgb([wave(x), wave(y), wave(x + y)])))
}

fn larger(image: DynamicImage) -> Value {
    let inputs = json!([{"role": "image", "url": url(image, ImageFormat::Png)}]);
    json!({"model": LARGER, "task": "image-upscale", "inputs": inputs})
}

async fn begun(host: &TestHost, request: &Value) -> Value {
    body(host.post(GENERATIONS, request).send().await.expect("answered"), 202).await
}

async fn job(host: &TestHost, id: &Value) -> Value {
    let path = format!("{GENERATIONS}/{}", id.as_str().expect("an id"));
    body(host.get(&path).send().await.expect("answered"), 200).await
}

/// A job once it has ended, and the shares of it that were seen to be done before.
async fn ended(host: &TestHost, request: &Value) -> (Value, Vec<f64>) {
    let id = begun(host, request).await["id"].clone();
    let mut seen = Vec::new();
    loop {
        let job = job(host, &id).await;
        if !matches!(job["state"].as_str(), Some("queued" | "processing")) {
            return (job, seen);
        }
        seen.extend(job["progress"].as_f64());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn succeeded(host: &TestHost, request: &Value) -> Value {
    let (job, _) = ended(host, request).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    job
}

/// The content of a job's output.
async fn content(host: &TestHost, job: &Value, at: usize) -> Vec<u8> {
    let path = job["outputs"][at]["url"].as_str().expect("an address");
    let answer = host.get(path).send().await.expect("answered");
    assert_eq!(answer.status(), 200);
    answer.bytes().await.expect("a body").to_vec()
}

#[tokio::test]
async fn a_seed_draws_the_same_face_wherever_it_stands_in_a_row() {
    let host = host().await;
    let faces = |seed: Value, count: u32| json!({"model": FACES, "task": "image-generation", "seed": seed, "count": count});
    let two = succeeded(&host, &faces(json!(7), 2)).await;
    assert_eq!(two["outputs"].as_array().map(Vec::len), Some(2), "{two}");
    assert_eq!((&two["outputs"][0]["seed"], &two["outputs"][1]["seed"]), (&json!(7), &json!(8)));
    assert_eq!(two["usage"], json!([{"meter": "images", "quantity": 2, "attributes": {}}]));
    let one = succeeded(&host, &faces(json!(8), 1)).await;
    let [first, second] = [content(&host, &two, 0).await, content(&host, &two, 1).await];
    assert_eq!(content(&host, &one, 0).await, second);
    assert_ne!(first, second);
    let face = image::load_from_memory(&first).expect("a picture").into_rgb8();
    assert_eq!(face.dimensions(), (64, 64));
    // It has lights and shades, as a face has and an empty picture has not.
    let brightness: Vec<f64> =
        face.pixels().map(|Rgb(rgb)| rgb.iter().map(|x| f64::from(*x)).sum::<f64>() / 3.0).collect();
    let mean = brightness.iter().sum::<f64>() / 4096.0;
    let deviation = (brightness.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4096.0).sqrt();
    assert!((40.0..220.0).contains(&mean) && deviation > 20.0, "{mean} ± {deviation}");

    // Without a seed each is another, and says which.
    let [a, b] =
        [succeeded(&host, &faces(Value::Null, 1)).await, succeeded(&host, &faces(Value::Null, 1)).await];
    let seed = |job: &Value| job["outputs"][0]["seed"].clone();
    assert_ne!(seed(&a), seed(&b));
    let again = succeeded(&host, &faces(seed(&a), 1)).await;
    assert_eq!(content(&host, &again, 0).await, content(&host, &a, 0).await);
    host.stop().await;
}

#[tokio::test]
async fn openai_s_route_draws_faces_in_each_format() {
    let host = host().await;
    for (format, kind) in
        [("png", ImageFormat::Png), ("jpeg", ImageFormat::Jpeg), ("webp", ImageFormat::WebP)]
    {
        let request = json!({"model": FACES, "prompt": "a face", "size": "64x64", "output_format": format});
        let answer = host.post("/v1/images/generations", &request).send().await.expect("answered");
        let answer = body(answer, 200).await;
        assert_eq!((&answer["output_format"], &answer["size"]), (&json!(format), &json!("64x64")));
        let bytes = STANDARD.decode(answer["data"][0]["b64_json"].as_str().expect("text")).expect("base64");
        assert_eq!(image::guess_format(&bytes).expect("a format"), kind);
    }
    host.stop().await;
}

#[tokio::test]
async fn a_drawing_is_made_twice_as_large_and_its_progress_is_told() {
    let host = host().await;
    let before = drawing(900, 600);
    let (job, seen) = ended(&host, &larger(before.clone())).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    assert!(seen.iter().any(|share| *share > 0.0 && *share < 1.0), "{seen:?}");
    assert!(seen.is_sorted(), "{seen:?}");
    let after = image::load_from_memory(&content(&host, &job, 0).await).expect("a picture").into_rgb8();
    assert_eq!(after.dimensions(), (1800, 1200));
    // Made small again it is the same picture.
    let small = image::imageops::thumbnail(&after, 900, 600);
    let pairs = small.as_raw().iter().zip(before.as_bytes());
    let mean = pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / small.as_raw().len() as f64;
    // Another picture would be some 80 away.
    assert!(mean < 8.0, "{mean}");
    host.stop().await;
}

#[tokio::test]
async fn what_is_transparent_stays_so_unless_the_format_cannot() {
    let host = host().await;
    let half = DynamicImage::ImageRgba8(RgbaImage::from_fn(40, 20, |x, _| {
        image::Rgba([200, 100, 50, if x < 20 { 255 } else { 0 }])
    }));
    let png = succeeded(&host, &larger(half.clone())).await;
    let png = image::load_from_memory(&content(&host, &png, 0).await).expect("a picture");
    assert!(png.color().has_alpha());
    let png = png.into_rgba8();
    assert_eq!((png.dimensions(), png.get_pixel(5, 5).0[3], png.get_pixel(75, 5).0[3]), ((80, 40), 255, 0));
    let mut request = larger(half);
    request["format"] = json!("jpeg");
    let jpeg = succeeded(&host, &request).await;
    assert_eq!(jpeg["outputs"][0]["content_type"], "image/jpeg");
    host.stop().await;
}

/// How much a picture changes from one pixel to the next, on average.
fn grain(image: &RgbImage) -> f64 {
    let (width, height) = image.dimensions();
    let pairs = (0..height).flat_map(|y| (1..width).map(move |x| (x, y)));
    let steps =
        pairs.map(|(x, y)| f64::from(image.get_pixel(x, y).0[1].abs_diff(image.get_pixel(x - 1, y).0[1])));
    steps.sum::<f64>() / f64::from((width - 1) * height)
}

#[tokio::test]
async fn a_face_is_made_four_times_as_large_and_repainted() {
    let host = host().await;
    let read = |bytes: &[u8]| image::load_from_memory(bytes).expect("a picture").into_rgb8();
    let face = json!({"model": FACES, "task": "image-generation", "seed": 7});
    let face = content(&host, &succeeded(&host, &face).await, 0).await;
    let mut request = larger(DynamicImage::ImageRgb8(read(&face)));
    request["model"] = json!("local/realesrgan-x4plus");
    let large = content(&host, &succeeded(&host, &request).await, 0).await;
    let picture = read(&large);
    assert_eq!(picture.dimensions(), (256, 256));
    // It is the same face.
    let small = image::imageops::thumbnail(&picture, 64, 64);
    let pairs = small.as_raw().iter().zip(read(&face).into_raw());
    let mean = pairs.map(|(a, b)| f64::from(a.abs_diff(b))).sum::<f64>() / (64.0 * 64.0 * 3.0);
    assert!(mean < 12.0, "{mean}");

    let repainted = async |style: &str| {
        let part = Part::bytes(large.clone()).file_name("face.png");
        let form = Form::new().text("model", STYLES).text("prompt", style.to_owned()).part("image", part);
        let answer = host.client.post(host.url("/v1/images/edits")).bearer_auth(&host.key).multipart(form);
        let answer = body(answer.send().await.expect("answered"), 200).await;
        STANDARD.decode(answer["data"][0]["b64_json"].as_str().expect("text")).expect("base64")
    };
    let [first, second] = [repainted("3").await, repainted("11").await];
    // To look at them.
    if let Some(folder) = std::env::var_os("ATELIER_PICTURES").map(std::path::PathBuf::from) {
        for (name, bytes) in [("face", &face), ("large", &large), ("first", &first), ("second", &second)] {
            std::fs::write(folder.join(format!("{name}.png")), bytes).expect("written");
        }
    }
    assert_ne!(first, second);
    for painted in [first, second] {
        let painted = read(&painted);
        assert_eq!(painted.dimensions(), (256, 256));
        // Brush strokes where there was skin.
        let (before, after) = (grain(&picture), grain(&painted));
        assert!(after > before * 1.5, "{before} and {after}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_mix_of_styles_lies_between_them() {
    let host = host().await;
    let restyled = async |options: Value| {
        let mut request = larger(drawing(64, 48));
        request["model"] = json!(STYLES);
        request["task"] = json!("image-edit");
        request["options"] = options;
        let job = succeeded(&host, &request).await;
        image::load_from_memory(&content(&host, &job, 0).await).expect("a picture").into_rgb8()
    };
    let [first, mix, second] = [
        restyled(json!({"style": 2})).await,
        restyled(json!({"styles": {"2": 0.5, "5": 0.5}})).await,
        restyled(json!({"style": 5})).await,
    ];
    let far = |a: &RgbImage, b: &RgbImage| -> u64 {
        a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
    };
    assert!(far(&first, &mix) < far(&first, &second) && far(&mix, &second) < far(&first, &second));
    host.stop().await;
}

#[tokio::test]
async fn a_job_that_is_given_up_makes_room_for_the_next() {
    let host = host().await;
    let mut long = Vec::new();
    for _ in 0..2 {
        long.push(begun(&host, &larger(drawing(1900, 1000))).await["id"].clone());
    }
    loop {
        if job(&host, &long[0]).await["state"] == "processing" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for id in &long {
        let path = format!("{GENERATIONS}/{}/cancel", id.as_str().expect("an id"));
        let told = host.post(&path, &json!({})).send().await.expect("answered");
        assert!(told.status().is_success(), "{told:?}");
    }
    succeeded(&host, &larger(drawing(40, 40))).await;
    for id in &long {
        assert_eq!(job(&host, id).await["state"], "canceled");
    }
    host.stop().await;
}

#[tokio::test]
async fn what_the_models_cannot_do_is_refused_with_its_member() {
    let host = host().await;
    let small = larger(drawing(20, 20));
    let face = json!({"model": FACES, "task": "image-generation"});
    let images = small["inputs"].clone();
    let style = json!({"model": STYLES, "task": "image-edit", "inputs": images});
    let two = json!([images[0], images[0]]);
    let mut mask = images.clone();
    mask[0]["role"] = json!("mask");
    let no_image = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";
    for (name, request, changes) in [
        ("larger_of_words", &small, json!({"prompt": "larger"})),
        ("larger_of_two", &small, json!({"inputs": two})),
        ("larger_of_nothing", &small, json!({"inputs": []})),
        ("larger_of_a_mask", &small, json!({"inputs": mask})),
        ("larger_twice", &small, json!({"count": 2})),
        ("larger_by_chance", &small, json!({"seed": 1})),
        ("larger_than_it_makes", &small, json!({"size": "60x60"})),
        (
            "larger_of_an_address",
            &small,
            json!({"inputs": [{"role": "image", "url": "https://example.com/a.png"}]}),
        ),
        ("larger_of_half_a_file", &small, json!({"inputs": [{"role": "image", "url": no_image}]})),
        ("larger_of_too_much", &small, larger(drawing(2049, 1025))),
        ("a_face_of_an_image", &face, json!({"inputs": images})),
        ("too_many_faces", &face, json!({"count": 11})),
        ("a_seed_below_zero", &face, json!({"seed": -1})),
        ("a_larger_face", &face, json!({"size": "1024x1024"})),
        ("a_size_in_words", &face, json!({"size": "large"})),
        ("a_face_without", &face, json!({"negative_prompt": "hats"})),
        ("a_better_face", &face, json!({"quality": "high"})),
        ("a_style_in_words", &style, json!({"prompt": "like van Gogh"})),
        ("no_style", &style, json!({})),
        ("a_style_that_is_none", &style, json!({"options": {"style": 26}})),
        ("a_style_and_a_mix", &style, json!({"options": {"style": 1, "styles": {"2": 1}}})),
        ("a_mix_of_nothing", &style, json!({"options": {"styles": {"2": 0}}})),
        ("two_styles", &style, json!({"options": {"style": 1}, "count": 2})),
        ("a_style_of_nothing", &style, json!({"options": {"style": 1}, "inputs": []})),
        ("a_style_by_chance", &style, json!({"options": {"style": 1}, "seed": 1})),
        ("a_face_as_gif", &face, json!({"format": "gif"})),
    ] {
        let mut request = request.clone();
        let members = changes.as_object().expect("an object").clone();
        request.as_object_mut().expect("an object").extend(members);
        let (job, _) = ended(&host, &request).await;
        assert_eq!(job["state"], "failed", "{name}: {job}");
        insta::assert_json_snapshot!(name, job["error"]);
    }
    // What is no task of a model is no job.
    let answer = host.post(GENERATIONS, &json!({"model": FACES, "task": "image-upscale"})).send().await;
    let refused = stable(body(answer.expect("answered"), 400).await)["detail"].take();
    insta::assert_json_snapshot!("another_task", refused);
    // Options that it does not have.
    let answer = host
        .post(GENERATIONS, &json!({"model": FACES, "task": "image-generation", "options": {"hats": true}}))
        .send()
        .await;
    let refused = stable(body(answer.expect("answered"), 400).await)["detail"].take();
    insta::assert_json_snapshot!("an_option_that_is_none", refused);
    host.stop().await;
}
