//! What one request will get: decided once, when it has been read.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::api::Api;
use crate::config::{OutputTokens, SimConfig, UsageReport};
use crate::distribution::Distribution;
use crate::fault::{Fault, FaultRule};
use crate::payload::Payload;
use crate::vocabulary::{hash_bytes, mix};

/// The answer of one request.
#[derive(Debug, Clone)]
pub struct Plan {
    pub api: Api,
    pub stream: bool,
    /// JSON string of the model, quotes included.
    pub model_json: String,
    /// Unique part of the response id.
    pub id: u64,
    /// Seconds since the epoch.
    pub created: u64,
    pub prompt_tokens: u32,
    /// Present when the prefix cache is on.
    pub cached_tokens: Option<u32>,
    /// Output tokens: first reasoning, then text, then tool arguments.
    pub reasoning: u32,
    pub text: u32,
    pub tool: u32,
    pub finish: Finish,
    pub usage: UsageReport,
    pub include_usage: bool,
    pub continuous_usage: bool,
    /// Vectors or scores of an embedding or ranking request.
    pub items: u32,
    pub fault: Option<Fault>,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    Stop,
    Length,
    ToolCalls,
    Abort,
}

impl Finish {
    /// OpenAI's name; also the label of vLLM's `request_success_total`, apart from tool calls.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::Abort => "abort",
        }
    }
}

/// What a token is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Reasoning,
    Text,
    Tool,
}

/// The random draws of one request: the same for the same seed and request id, whatever the
/// timing.
pub struct Draws {
    seed: u64,
    rng: Option<Box<ChaCha8Rng>>,
}

impl Draws {
    pub fn new(config_seed: u64, request_id: Option<&str>, ordinal: u64) -> Self {
        let own = request_id.map_or_else(|| mix(ordinal), |id| hash_bytes(1, id.as_bytes()));
        Self { seed: config_seed ^ own, rng: None }
    }

    pub fn rng(&mut self) -> &mut ChaCha8Rng {
        let seed = self.seed;
        self.rng.get_or_insert_with(|| Box::new(ChaCha8Rng::seed_from_u64(seed)))
    }

    pub fn sample(&mut self, shape: &Distribution) -> f64 {
        match shape.as_constant() {
            Some(value) => value,
            None => shape.sample(self.rng()),
        }
    }

    pub fn fault(&mut self, rules: &[FaultRule], ordinal: u64) -> Option<Fault> {
        rules.iter().find(|rule| rule.hits(ordinal, self.rng())).map(|rule| rule.fault)
    }
}

impl Plan {
    pub fn new(
        config: &SimConfig,
        api: Api,
        payload: &Payload<'_>,
        cached_tokens: Option<u32>,
        created: u64,
        fault: Option<Fault>,
        draws: &mut Draws,
    ) -> Self {
        let output = &config.output;
        let asked = payload.max_output();
        let cap = asked.filter(|_| output.honour_max_tokens).map_or(u32::MAX, to_u32);
        let wanted = match output.tokens {
            OutputTokens::Request => asked.map_or(output.default_tokens, to_u32),
            OutputTokens::Drawn(shape) => draws.sample(&shape).round().min(f64::from(u32::MAX)) as u32,
        };
        let wanted = if output.honour_max_tokens || output.tokens != OutputTokens::Request {
            wanted.max(payload.min_tokens.map_or(0, to_u32))
        } else {
            output.default_tokens
        };
        let total = wanted.min(cap).min(output.most_tokens);
        let tool = output.tool_call_tokens.min(total);
        let reasoning = output.reasoning_tokens.min(total - tool);
        let finish = if tool > 0 {
            Finish::ToolCalls
        } else if asked.map(to_u32) == Some(total) && output.honour_max_tokens {
            Finish::Length
        } else {
            Finish::Stop
        };
        let finish = if matches!(fault, Some(Fault::Abort { .. })) { Finish::Abort } else { finish };
        let options = payload.stream_options.unwrap_or_default();
        let include = options.include_usage.unwrap_or(false);
        let model = payload.model.first();
        let model = if model.is_empty() { config.models.first().map_or("", String::as_str) } else { model };
        Self {
            api,
            stream: payload.stream.unwrap_or(false) && api.streams(),
            model_json: serde_json::Value::from(model).to_string(),
            id: mix(draws.seed),
            created,
            prompt_tokens: payload.prompt_tokens(),
            cached_tokens,
            reasoning,
            text: total - tool - reasoning,
            tool,
            finish,
            usage: output.usage,
            include_usage: match output.usage {
                UsageReport::OnRequest => include,
                UsageReport::Always => true,
                UsageReport::WithFinish | UsageReport::Never => false,
            },
            continuous_usage: include
                && options.continuous_usage_stats.unwrap_or(false)
                && output.usage != UsageReport::Never,
            items: if payload.input.items > 0 { payload.input.items } else { payload.documents.items },
            fault,
        }
    }

    /// Output tokens in all.
    pub fn total(&self) -> u32 {
        self.reasoning + self.text + self.tool
    }

    /// What token `index` is part of, and its place there.
    pub fn kind_of(&self, index: u32) -> (TokenKind, u32) {
        if index < self.reasoning {
            (TokenKind::Reasoning, index)
        } else if index < self.reasoning + self.text {
            (TokenKind::Text, index - self.reasoning)
        } else {
            (TokenKind::Tool, index - self.reasoning - self.text)
        }
    }

    /// First token after the kind that `index` belongs to.
    pub fn kind_end(&self, index: u32) -> u32 {
        match self.kind_of(index).0 {
            TokenKind::Reasoning => self.reasoning,
            TokenKind::Text => self.reasoning + self.text,
            TokenKind::Tool => self.total(),
        }
    }
}

fn to_u32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// When the tokens of a request are due.
pub struct Timeline {
    next_due_ns: u64,
    interval_ns: Option<u64>,
    shape: Distribution,
    factor: f64,
    draws: Draws,
}

impl Timeline {
    /// The schedule of a request admitted at `admitted_ns`.
    pub fn new(config: &SimConfig, plan: &Plan, admitted_ns: u64, running: usize, mut draws: Draws) -> Self {
        let timing = &config.timing;
        let ttft_ms = draws.sample(&timing.ttft_ms);
        let computed = plan.prompt_tokens - plan.cached_tokens.unwrap_or(0).min(plan.prompt_tokens);
        let prefill_us = timing.prefill_us_per_token * f64::from(computed);
        let factor = 1.0 + timing.slowdown_per_running * running.saturating_sub(1) as f64;
        let first_ns = admitted_ns.saturating_add((ttft_ms * 1e6 + prefill_us * 1e3) as u64);
        let interval_ns = timing.itl_ms.as_constant().map(|ms| (ms * factor * 1e6) as u64);
        Self { next_due_ns: first_ns, interval_ns, shape: timing.itl_ms, factor, draws }
    }

    /// When the next token is due.
    pub fn next_due(&self) -> u64 {
        self.next_due_ns
    }

    /// When the last of `total` tokens is due (for none, as for one).
    pub fn due_of_last(&mut self, total: u32) -> u64 {
        self.advance(total.saturating_sub(1));
        self.next_due_ns
    }

    /// Goes on by `tokens` tokens.
    pub fn advance(&mut self, tokens: u32) {
        for _ in 0..tokens {
            let interval_ns = match self.interval_ns {
                Some(ns) => ns,
                None => (self.draws.sample(&self.shape) * self.factor * 1e6) as u64,
            };
            self.next_due_ns = self.next_due_ns.saturating_add(interval_ns);
        }
    }
}
