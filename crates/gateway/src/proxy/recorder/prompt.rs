//! The text of a request's prompt, whatever API it speaks.

use serde_json::Value;

/// Where prompts are, in the order in which servers put them before the model.
const FIELDS: [&str; 6] = ["tools", "system", "instructions", "messages", "input", "prompt"];

/// All texts of the prompt, one a line, in order; `None` when the body is no JSON object.
pub fn text_of(body: &[u8]) -> Option<String> {
    let Value::Object(fields) = serde_json::from_slice(body).ok()? else { return None };
    let mut text = String::new();
    for field in FIELDS {
        if let Some(value) = fields.get(field) {
            collect(value, &mut text);
        }
    }
    Some(text)
}

/// Strings in order of appearance; token ids as numbers. Images and audio are data, not text.
fn collect(value: &Value, text: &mut String) {
    match value {
        Value::String(string) if !string.starts_with("data:") => {
            text.push_str(string);
            text.push('\n');
        }
        Value::Number(number) => {
            text.push_str(&number.to_string());
            text.push(' ');
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, text)),
        Value::Object(fields) => {
            let said = fields.iter().filter(|(name, _)| !matches!(name.as_str(), "role" | "type"));
            said.for_each(|(_, field)| collect(field, text));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_read_and_the_rest_is_not() {
        let chat = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"},
                      {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}],"user":"me"}"#;
        let text = text_of(chat.as_bytes()).unwrap();
        assert_eq!(text, "hi\n");
        assert_eq!(text_of(br#"{"prompt":[1,2]}"#).as_deref(), Some("1 2 "));
        assert_eq!(text_of(b"[]"), None);
        assert_eq!(text_of(b"{"), None);
    }
}
