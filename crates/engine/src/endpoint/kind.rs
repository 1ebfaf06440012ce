//! The endpoint types: names and fixed facts about each API.

use std::fmt;
use std::str::FromStr;

/// An API that can be measured (`--endpoint-type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EndpointType {
    /// OpenAI chat completions.
    #[default]
    Chat,
    /// OpenAI text completions.
    Completions,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// OpenAI embeddings.
    Embeddings,
    /// Cohere rerank (also vLLM, Jina).
    CohereRankings,
    /// Hugging Face text-embeddings-inference rerank.
    HfTeiRankings,
    /// NVIDIA NIM ranking.
    NimRankings,
    /// Request bodies from the data set, sent as they are; the answer's shape is found out.
    Raw,
    /// Request bodies from a template of the user's.
    Template,
}

/// Fixed facts about an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointMetadata {
    /// Path after the base URL unless `--custom-endpoint` says otherwise; `None`: the URL is used as it is.
    pub path: Option<&'static str>,
    /// Whether answers can be streamed; where not, `--streaming` has no effect.
    pub supports_streaming: bool,
    /// Whether the answer consists of tokens (token and stream metrics apply).
    pub produces_tokens: bool,
    /// Whether the input is tokenized (input token metrics apply).
    pub tokenizes_input: bool,
    /// Whether a turn may hold images.
    pub supports_images: bool,
    /// Whether the API has a system role (or a field of that meaning).
    pub system_role: bool,
    /// Whether earlier turns are sent again with the next one.
    pub supports_history: bool,
    /// How the API key is sent.
    pub key_header: KeyHeader,
    /// Headers that the API demands beside the key, unless the user sets them.
    pub headers: &'static [(&'static str, &'static str)],
    /// Title of the console table.
    pub metrics_title: &'static str,
}

/// How an API key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `x-api-key: KEY`.
    XApiKey,
}

/// A name that is no endpoint type of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown endpoint type '{name}'; known are {}", EndpointType::names().join(", "))]
pub struct UnknownEndpointType {
    /// The name as given.
    pub name: String,
}

impl EndpointType {
    /// Whether requests are queries with passages to rank.
    #[must_use]
    pub fn ranks(self) -> bool {
        matches!(self, Self::CohereRankings | Self::HfTeiRankings | Self::NimRankings)
    }

    /// All types, in the order help texts list them.
    pub const ALL: [EndpointType; 10] = [
        EndpointType::Chat,
        EndpointType::Completions,
        EndpointType::Responses,
        EndpointType::Messages,
        EndpointType::Embeddings,
        EndpointType::CohereRankings,
        EndpointType::HfTeiRankings,
        EndpointType::NimRankings,
        EndpointType::Raw,
        EndpointType::Template,
    ];

    /// The name in files and artifact folders: lower case with underscores.
    pub fn as_str(self) -> &'static str {
        match self {
            EndpointType::Chat => "chat",
            EndpointType::Completions => "completions",
            EndpointType::Responses => "responses",
            EndpointType::Messages => "messages",
            EndpointType::Embeddings => "embeddings",
            EndpointType::CohereRankings => "cohere_rankings",
            EndpointType::HfTeiRankings => "hf_tei_rankings",
            EndpointType::NimRankings => "nim_rankings",
            EndpointType::Raw => "raw",
            EndpointType::Template => "template",
        }
    }

    /// The names on the command line: with dashes.
    pub fn names() -> Vec<String> {
        Self::ALL.iter().map(|kind| kind.as_str().replace('_', "-")).collect()
    }

    /// Fixed facts about this API.
    pub fn metadata(self) -> EndpointMetadata {
        let tokens = EndpointMetadata {
            path: None,
            supports_streaming: true,
            produces_tokens: true,
            tokenizes_input: true,
            supports_images: true,
            system_role: true,
            supports_history: true,
            key_header: KeyHeader::Bearer,
            headers: &[],
            metrics_title: "LLM Metrics",
        };
        let vectors = EndpointMetadata {
            supports_streaming: false,
            produces_tokens: false,
            supports_images: false,
            system_role: false,
            supports_history: false,
            metrics_title: "Ranking Metrics",
            ..tokens
        };
        match self {
            EndpointType::Chat => EndpointMetadata { path: Some("/v1/chat/completions"), ..tokens },
            EndpointType::Completions => EndpointMetadata {
                path: Some("/v1/completions"),
                supports_images: false,
                system_role: false,
                supports_history: false,
                ..tokens
            },
            EndpointType::Responses => EndpointMetadata { path: Some("/v1/responses"), ..tokens },
            EndpointType::Messages => EndpointMetadata {
                path: Some("/v1/messages"),
                key_header: KeyHeader::XApiKey,
                headers: &[("anthropic-version", "2023-06-01")],
                ..tokens
            },
            EndpointType::Embeddings => EndpointMetadata {
                path: Some("/v1/embeddings"),
                metrics_title: "Embeddings Metrics",
                ..vectors
            },
            EndpointType::CohereRankings => EndpointMetadata { path: Some("/v2/rerank"), ..vectors },
            EndpointType::HfTeiRankings => EndpointMetadata { path: Some("/rerank"), ..vectors },
            EndpointType::NimRankings => {
                EndpointMetadata { path: Some("/v1/ranking"), metrics_title: "Rankings Metrics", ..vectors }
            }
            EndpointType::Raw | EndpointType::Template => {
                EndpointMetadata { system_role: false, supports_history: false, ..tokens }
            }
        }
    }

    /// Whether a stream of this API must announce its end. APIs we do not know may just stop.
    pub(super) fn announces_end(self) -> bool {
        !matches!(self, EndpointType::Raw | EndpointType::Template)
    }
}

impl fmt::Display for EndpointType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EndpointType {
    type Err = UnknownEndpointType;

    /// Any case, `-` and `_` alike.
    fn from_str(name: &str) -> Result<Self, UnknownEndpointType> {
        let wanted = name.trim().to_ascii_lowercase().replace('-', "_");
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == wanted)
            .ok_or_else(|| UnknownEndpointType { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_with_dash_or_underscore() {
        for kind in EndpointType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(kind.as_str().replace('_', "-").to_uppercase().parse(), Ok(kind));
        }
        let unknown = "hf-tei".parse::<EndpointType>().unwrap_err().to_string();
        assert!(unknown.contains("'hf-tei'") && unknown.contains("hf-tei-rankings"), "{unknown}");
    }

    #[test]
    fn only_token_endpoints_stream() {
        for kind in EndpointType::ALL {
            let facts = kind.metadata();
            assert_eq!(facts.supports_streaming, facts.produces_tokens, "{kind}");
            assert!(facts.path.is_none_or(|path| path.starts_with('/')), "{kind}");
        }
    }
}
