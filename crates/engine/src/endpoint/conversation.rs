//! Messages of a conversation, in the shapes of the three APIs that have them.

use super::body::{BodyInput, Message, data_url, text_size, write_list, write_string};
use crate::dataset::Prompt;

/// How an API writes messages and their parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// OpenAI chat: system as a message, `text` and `image_url` parts.
    Chat,
    /// OpenAI Responses: typed items, `input_text` and `input_image` parts.
    Responses,
    /// Anthropic Messages: `text` and `image` parts with a source.
    Messages,
}

/// One message to write.
enum Entry<'a> {
    Text(&'static str, &'a str),
    User(&'a Prompt),
}

/// Bytes to reserve for the messages.
pub(super) fn size(input: &BodyInput<'_>) -> usize {
    let session = input.session;
    let fixed = [&session.system, &session.context].into_iter().flatten().map(|text| text.len() + 48);
    let history = input.history.iter().map(|message| match message {
        Message::User { turn } => session.turns.get(*turn).map_or(0, |turn| text_size(&turn.prompt) + 48),
        Message::Assistant { content } => content.len() + content.len() / 16 + 48,
    });
    fixed.sum::<usize>() + history.sum::<usize>() + text_size(&input.turn.prompt)
}

/// Appends the list of messages: system (chat only), user context, history, this turn.
pub(super) fn write(out: &mut Vec<u8>, input: &BodyInput<'_>, dialect: Dialect) {
    let session = input.session;
    let system = session.system.as_deref().filter(|_| dialect == Dialect::Chat);
    let history = input.history.iter().filter_map(|message| match message {
        Message::User { turn } => session.turns.get(*turn).map(|turn| Entry::User(&turn.prompt)),
        Message::Assistant { content } => Some(Entry::Text("assistant", content)),
    });
    let entries = system
        .map(|text| Entry::Text("system", text))
        .into_iter()
        .chain(session.context.as_deref().map(|text| Entry::Text("user", text)))
        .chain(history)
        .chain([Entry::User(&input.turn.prompt)]);
    write_list(out, entries, |out, entry| {
        match entry {
            Entry::Text(role, text) => {
                wrap(out, "{\"role\":", role, ",\"content\":");
                write_string(out, text);
            }
            Entry::User(prompt) => {
                out.extend_from_slice(b"{\"role\":\"user\",\"content\":");
                write_content(out, prompt, dialect);
            }
        }
        if dialect == Dialect::Responses {
            out.extend_from_slice(b",\"type\":\"message\"");
        }
        out.push(b'}');
    });
}

/// A single text is a plain string: some servers refuse lists of parts, and all refuse an empty list.
fn write_content(out: &mut Vec<u8>, prompt: &Prompt, dialect: Dialect) {
    // `Endpoint::accepts` refuses other prompts before they come here.
    let (texts, images) = match prompt {
        Prompt::Texts { texts, images } => (texts.as_slice(), images.as_slice()),
        _ => Default::default(),
    };
    match (texts, images) {
        ([text], []) => return write_string(out, text),
        ([], []) => return write_string(out, ""),
        _ => {}
    }
    let parts =
        texts.iter().map(|text| (true, &**text)).chain(images.iter().map(|image| (false, &*image.url)));
    write_list(out, parts, |out, (is_text, value)| match (is_text, dialect) {
        (true, Dialect::Responses) => wrap(out, "{\"type\":\"input_text\",\"text\":", value, "}"),
        (true, _) => wrap(out, "{\"type\":\"text\",\"text\":", value, "}"),
        (false, Dialect::Chat) => {
            wrap(out, "{\"type\":\"image_url\",\"image_url\":{\"url\":", value, "}}");
        }
        (false, Dialect::Responses) => {
            wrap(out, "{\"type\":\"input_image\",\"image_url\":", value, "}");
        }
        (false, Dialect::Messages) => match data_url(value) {
            Some((media_type, data)) => {
                let head = "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":";
                wrap(out, head, &media_type, ",\"data\":");
                wrap(out, "", data, "}}");
            }
            None => wrap(out, "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":", value, "}}"),
        },
    });
}

fn wrap(out: &mut Vec<u8>, before: &str, value: &str, after: &str) {
    out.extend_from_slice(before.as_bytes());
    write_string(out, value);
    out.extend_from_slice(after.as_bytes());
}
