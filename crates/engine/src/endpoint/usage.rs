//! The server's own token counts, under all the names servers give them (METRICS.md, "Server-reported usage").

use serde::Deserialize;

use super::Usage;
use super::wire::Number;

/// A usage object as it comes. Unknown keys are skipped.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireUsage {
    prompt_tokens: Number,
    input_tokens: Number,
    #[serde(rename = "promptTokenCount")]
    prompt_token_count: Number,
    #[serde(rename = "inputTokens")]
    input_tokens_camel: Number,
    input_token_count: Number,

    completion_tokens: Number,
    output_tokens: Number,
    #[serde(rename = "candidatesTokenCount")]
    candidates_token_count: Number,
    #[serde(rename = "outputTokens")]
    output_tokens_camel: Number,
    generated_token_count: Number,

    total_tokens: Number,
    #[serde(rename = "totalTokenCount")]
    total_token_count: Number,
    #[serde(rename = "totalTokens")]
    total_tokens_camel: Number,

    prompt_tokens_details: Option<Details>,
    input_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,

    cache_read_input_tokens: Number,
    prompt_cache_hit_tokens: Number,
    #[serde(rename = "cachedContentTokenCount")]
    cached_content_token_count: Number,
    #[serde(rename = "cacheReadInputTokens")]
    cache_read_camel: Number,
    cached_tokens: Number,

    cache_creation_input_tokens: Number,
    #[serde(rename = "cacheWriteInputTokens")]
    cache_write_camel: Number,
    prompt_cache_miss_tokens: Number,

    #[serde(rename = "toolUsePromptTokenCount")]
    tool_use_prompt_token_count: Number,
    prompt_audio_seconds: Number,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts_token_count: Number,
    /// SGLang says it here and leaves the details null.
    reasoning_tokens: Number,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Number,
    /// vLLM's name on chat completions.
    created_cache_tokens: Number,
    /// The name on Responses.
    cache_write_tokens: Number,
    audio_tokens: Number,
    reasoning_tokens: Number,
    accepted_prediction_tokens: Number,
    rejected_prediction_tokens: Number,
}

fn first(numbers: &[Number]) -> Option<i64> {
    numbers.iter().find_map(|number| number.count())
}

impl WireUsage {
    /// Completion tokens alone: asked for in every event of a stream with continuous usage.
    pub fn completion(&self) -> Option<i64> {
        first(&[
            self.completion_tokens,
            self.output_tokens,
            self.candidates_token_count,
            self.output_tokens_camel,
            self.generated_token_count,
        ])
    }

    /// The counts under our names; `None` when the object holds none at all.
    pub fn usage(&self) -> Option<Usage> {
        let prompt_detail = |pick: fn(&Details) -> Number| {
            let of = |details: &Option<Details>| details.and_then(|details| pick(&details).count());
            of(&self.prompt_tokens_details).or_else(|| of(&self.input_tokens_details))
        };
        let completion_detail = |pick: fn(&Details) -> Number| {
            let of = |details: &Option<Details>| details.and_then(|details| pick(&details).count());
            of(&self.completion_tokens_details).or_else(|| of(&self.output_tokens_details))
        };
        // Anthropic and Bedrock count cache reads and writes beside the input; the others inside it.
        let read_beside = first(&[self.cache_read_input_tokens, self.cache_read_camel]);
        let write_beside = first(&[self.cache_creation_input_tokens, self.cache_write_camel]);
        let beside = first(&[self.input_tokens, self.input_tokens_camel]);
        let inside = first(&[self.prompt_tokens]);
        let counted_beside =
            inside.is_none() && beside.is_some() && (read_beside.is_some() || write_beside.is_some());
        let prompt = match (inside, beside) {
            (Some(tokens), _) => Some(tokens),
            (None, Some(tokens)) if counted_beside => Some(
                tokens.saturating_add(read_beside.unwrap_or(0)).saturating_add(write_beside.unwrap_or(0)),
            ),
            (None, Some(tokens)) => Some(tokens),
            (None, None) => first(&[self.prompt_token_count, self.input_token_count]),
        };
        let usage = Usage {
            prompt,
            completion: self.completion(),
            total: first(&[self.total_tokens, self.total_token_count, self.total_tokens_camel]),
            reasoning: completion_detail(|details| details.reasoning_tokens)
                .or_else(|| first(&[self.thoughts_token_count, self.reasoning_tokens])),
            cache_read: prompt_detail(|details| details.cached_tokens).or_else(|| {
                first(&[
                    self.cache_read_input_tokens,
                    self.prompt_cache_hit_tokens,
                    self.cached_content_token_count,
                    self.cache_read_camel,
                    self.cached_tokens,
                ])
            }),
            cache_write: write_beside
                .or_else(|| prompt_detail(|details| details.cache_write_tokens))
                .or_else(|| prompt_detail(|details| details.created_cache_tokens)),
            cache_miss: first(&[self.prompt_cache_miss_tokens]).or_else(|| beside.filter(|_| counted_beside)),
            prompt_audio: prompt_detail(|details| details.audio_tokens),
            completion_audio: completion_detail(|details| details.audio_tokens),
            accepted_prediction: completion_detail(|details| details.accepted_prediction_tokens),
            rejected_prediction: completion_detail(|details| details.rejected_prediction_tokens),
            tool_use_prompt: self.tool_use_prompt_token_count.count(),
            prompt_audio_seconds: self.prompt_audio_seconds.0,
        };
        (usage != Usage::default()).then_some(usage)
    }

    /// What a later object of the same answer adds (Anthropic: input first, output at the end).
    pub fn updated_by(&self, later: &WireUsage) -> WireUsage {
        let pick = |new: Number, old: Number| if new.0.is_some() { new } else { old };
        WireUsage {
            input_tokens: pick(later.input_tokens, self.input_tokens),
            output_tokens: pick(later.output_tokens, self.output_tokens),
            cache_read_input_tokens: pick(later.cache_read_input_tokens, self.cache_read_input_tokens),
            cache_creation_input_tokens: pick(
                later.cache_creation_input_tokens,
                self.cache_creation_input_tokens,
            ),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
            ..*later
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str) -> Option<Usage> {
        serde_json::from_str::<WireUsage>(json).unwrap().usage()
    }

    #[test]
    fn openai_chat_names() {
        let got = usage(
            r#"{"prompt_tokens":39,"total_tokens":51,"completion_tokens":12,
                "prompt_tokens_details":{"cached_tokens":38,"audio_tokens":1},
                "completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":2,
                    "accepted_prediction_tokens":3,"rejected_prediction_tokens":5}}"#,
        );
        let want = Usage {
            prompt: Some(39),
            completion: Some(12),
            total: Some(51),
            reasoning: Some(4),
            cache_read: Some(38),
            prompt_audio: Some(1),
            completion_audio: Some(2),
            accepted_prediction: Some(3),
            rejected_prediction: Some(5),
            ..Usage::default()
        };
        assert_eq!(got, Some(want));
    }

    #[test]
    fn anthropic_cache_counts_are_part_of_the_prompt() {
        let got = usage(
            r#"{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":7,"output_tokens":3}"#,
        )
        .unwrap();
        assert_eq!((got.prompt, got.completion, got.total), (Some(117), Some(3), None));
        assert_eq!((got.cache_read, got.cache_write, got.cache_miss), (Some(100), Some(7), Some(10)));
    }

    #[test]
    fn responses_cached_tokens_are_inside_the_input() {
        let got = usage(
            r#"{"input_tokens":13,"input_tokens_details":{"cached_tokens":5,"cache_write_tokens":2},
                "output_tokens":6,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":19}"#,
        )
        .unwrap();
        assert_eq!(
            (got.prompt, got.cache_read, got.cache_write, got.cache_miss),
            (Some(13), Some(5), Some(2), None)
        );
        assert_eq!((got.completion, got.reasoning, got.total), (Some(6), Some(0), Some(19)));
    }

    #[test]
    fn names_of_other_servers() {
        let gemini = usage(
            r#"{"promptTokenCount":5,"candidatesTokenCount":6,"totalTokenCount":11,"thoughtsTokenCount":2,
                "cachedContentTokenCount":3,"toolUsePromptTokenCount":1}"#,
        )
        .unwrap();
        assert_eq!((gemini.prompt, gemini.completion, gemini.total), (Some(5), Some(6), Some(11)));
        assert_eq!(
            (gemini.reasoning, gemini.cache_read, gemini.tool_use_prompt),
            (Some(2), Some(3), Some(1))
        );
        let bedrock = usage(
            r#"{"inputTokens":5,"outputTokens":6,"totalTokens":14,"cacheReadInputTokens":3,"cacheWriteInputTokens":0}"#,
        )
        .unwrap();
        assert_eq!((bedrock.prompt, bedrock.cache_miss, bedrock.total), (Some(8), Some(5), Some(14)));
        let deepseek =
            usage(r#"{"prompt_tokens":9,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":5}"#).unwrap();
        assert_eq!((deepseek.prompt, deepseek.cache_read, deepseek.cache_miss), (Some(9), Some(4), Some(5)));
        let sglang =
            usage(r#"{"prompt_tokens":9,"reasoning_tokens":7,"completion_tokens_details":null}"#).unwrap();
        assert_eq!(sglang.reasoning, Some(7));
        let audio = usage(r#"{"prompt_audio_seconds":1.5}"#).unwrap();
        assert_eq!(audio.prompt_audio_seconds, Some(1.5));
    }

    #[test]
    fn nothing_usable_is_nothing() {
        assert_eq!(usage("{}"), None);
        assert_eq!(usage(r#"{"prompt_tokens":"many","completion_tokens":null,"x":[1]}"#), None);
    }
}
