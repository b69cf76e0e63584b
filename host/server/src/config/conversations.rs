//! `[conversations]`.

use atelier_domain::conversation::ConversationBounds;
use atelier_service::conversations::ConversationSettings;

use super::Section;

/// What users keep of what they say.
#[derive(Clone, Debug)]
pub struct Conversations(pub ConversationSettings);

impl Conversations {
    pub(super) fn read(section: &mut Section) -> Self {
        let usual = ConversationSettings::default();
        let ConversationBounds {
            conversations_max,
            messages_max,
            depth_max,
            branch_bytes_max,
            user_bytes_max,
        } = usual.bounds;
        let mut number = |key, usual: u32, max| {
            u32::try_from(section.number(key, usual.into(), 1..=max)).unwrap_or(u32::MAX)
        };
        let bounds = ConversationBounds {
            conversations_max: number("per_user", conversations_max, 1_000_000),
            messages_max: number("messages", messages_max, 100_000),
            depth_max: number("branch_messages", depth_max, 10_000),
            branch_bytes_max: section.number("branch_kib", branch_bytes_max >> 10, 1..=16_384) << 10,
            user_bytes_max: section.number("user_mib", user_bytes_max >> 20, 1..=1_048_576) << 20,
        };
        // A row has 32 MiB at most, and the route takes 1 MiB.
        let message_kib = section.number("message_kib", (usual.message_bytes_max >> 10) as u64, 1..=1_024);
        let message_bytes_max = (message_kib as usize) << 10;
        Self(ConversationSettings { bounds, message_bytes_max, title_model: section.text("title_model") })
    }
}
