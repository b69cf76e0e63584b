//! `atelier:provider/progress`.

use atelier_domain::generation::media;

use crate::host_state::CallState;
use crate::v0_1::bindings::host::atelier::provider::progress::{Host, Preview};

impl Host for CallState {
    fn show(&mut self, preview: Preview) -> wasmtime::Result<()> {
        self.count_host_call()?;
        let Some(previews) = &self.context.previews else { return Ok(()) };
        let Preview { index, content_type, bytes } = preview;
        // Anything else could pass for a page or a script in a browser.
        if content_type.starts_with("image/") && content_type.len() <= 64 && content_type.is_ascii() {
            previews.show(media::Preview { index, content_type, bytes: bytes.into() });
        }
        Ok(())
    }
}
