//! Sizes and shapes.

use atelier_plugin_sdk::Failure;
use atelier_plugin_sdk::media::Request;

/// The size to ask for: the one given, or the one of the model's that has the shape given. `None`: the provider's choice.
pub fn wanted(request: &Request) -> Result<Option<&str>, Failure> {
    let Some(shape) = &request.aspect_ratio else { return Ok(request.size.as_deref()) };
    if let Some(size) = &request.size {
        return Ok(Some(size));
    }
    let sizes = match request.model.as_str() {
        model if model.starts_with("dall-e-3") => {
            &[("1:1", "1024x1024"), ("16:9", "1792x1024"), ("9:16", "1024x1792")][..]
        }
        model if model.starts_with("dall-e-2") => &[("1:1", "1024x1024")],
        model if model.starts_with("sora") => &[("16:9", "1280x720"), ("9:16", "720x1280")],
        _ => &[("1:1", "1024x1024"), ("3:2", "1536x1024"), ("2:3", "1024x1536")],
    };
    match sizes.iter().find(|(known, _)| known == shape) {
        Some((_, size)) => Ok(Some(size)),
        None => {
            let shapes: Vec<&str> = sizes.iter().map(|(shape, _)| *shape).collect();
            Err(Failure::invalid("aspect_ratio", ["this model has the shapes ", &shapes.join(", ")].concat()))
        }
    }
}

/// The price class of a video's size: its shorter side.
pub fn resolution(size: &str) -> String {
    let sides = size
        .split_once('x')
        .and_then(|(width, height)| Some((width.parse::<u32>().ok()?, height.parse::<u32>().ok()?)));
    match sides {
        Some((width, height)) => [&width.min(height).to_string(), "p"].concat(),
        None => size.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tests::request;

    #[test]
    fn a_shape_becomes_one_of_the_model_s_sizes() {
        let size = |model: &str, shape: &str| {
            let request =
                Request { aspect_ratio: Some(shape.to_owned()), ..request(model, "image-generation") };
            wanted(&request).map(|size| size.map(str::to_owned))
        };
        assert_eq!(size("dall-e-3", "16:9").unwrap().as_deref(), Some("1792x1024"));
        assert_eq!(size("gpt-image-1", "2:3").unwrap().as_deref(), Some("1024x1536"));
        assert_eq!(size("sora-2", "9:16").unwrap().as_deref(), Some("720x1280"));
        let failure = size("gpt-image-1", "16:9").unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.param.as_deref()),
            ("invalid-request", Some("aspect_ratio"))
        );
    }

    #[test]
    fn a_video_is_priced_by_its_shorter_side() {
        assert_eq!(resolution("1280x720"), "720p");
        assert_eq!(resolution("1024x1792"), "1024p");
        assert_eq!(resolution("auto"), "auto");
    }
}
