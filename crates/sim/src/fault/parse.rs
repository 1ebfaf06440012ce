//! The text form of faults and fault rules.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Fault, FaultRule};
use crate::error_body::Engine;

/// Tokens before a fault inside a stream, when not given.
const AFTER: u32 = 2;
/// Size of hostile headers, lines and bodies, when not given.
const HUGE: u64 = 10 << 20;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match *self {
            Self::Status { code, engine } => write!(f, "{name}:{code}:{engine}"),
            Self::Drip { interval_ms } => write!(f, "{name}:{interval_ms}"),
            Self::HugeHeader { bytes } | Self::HugeLine { bytes } | Self::GzipBomb { bytes } => {
                write!(f, "{name}:{bytes}")
            }
            Self::ManyHeaders { count } => write!(f, "{name}:{count}"),
            Self::Redirect { code } => write!(f, "{name}:{code}"),
            Self::ResetAfterLastToken => f.write_str(name),
            _ => match self.after_tokens() {
                Some(after) => write!(f, "{name}:{after}"),
                None => f.write_str(name),
            },
        }
    }
}

impl Fault {
    /// The name without parameters, as the log has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Status { .. } => "status",
            Self::CloseBeforeHeaders => "close-before-headers",
            Self::ResetBeforeHeaders => "reset-before-headers",
            Self::ResetInHeaders => "reset-in-headers",
            Self::ResetMidStream { .. } => "reset-mid-stream",
            Self::ResetAfterLastToken => "reset-after-last-token",
            Self::CloseMidStream { .. } => "close-mid-stream",
            Self::StallRequest => "stall-request",
            Self::StallBeforeHeaders => "stall-before-headers",
            Self::StallMidStream { .. } => "stall-mid-stream",
            Self::Drip { .. } => "drip",
            Self::ErrorEvent { .. } => "error-event",
            Self::NamedErrorEvent { .. } => "named-error-event",
            Self::Truncate { .. } => "truncate",
            Self::DoneWithoutFinish { .. } => "done-without-finish",
            Self::Abort { .. } => "abort",
            Self::InvalidJson { .. } => "invalid-json",
            Self::InvalidUtf8 { .. } => "invalid-utf8",
            Self::ContentLengthLong => "content-length-long",
            Self::ContentLengthShort => "content-length-short",
            Self::BadChunkSize { .. } => "bad-chunk-size",
            Self::HugeHeader { .. } => "huge-header",
            Self::ManyHeaders { .. } => "many-headers",
            Self::HugeLine { .. } => "huge-line",
            Self::GzipBomb { .. } => "gzip-bomb",
            Self::Redirect { .. } => "redirect",
            Self::EmptyOk => "empty-ok",
            Self::NonJson => "non-json",
            Self::GoAway => "go-away",
            Self::RstStream { .. } => "rst-stream",
        }
    }

    /// Every fault with its default parameter, for matrices and help texts.
    pub fn all() -> Vec<Self> {
        let after = AFTER;
        vec![
            Self::Status { code: 500, engine: Engine::Vllm },
            Self::CloseBeforeHeaders,
            Self::ResetBeforeHeaders,
            Self::ResetInHeaders,
            Self::ResetMidStream { after },
            Self::ResetAfterLastToken,
            Self::CloseMidStream { after },
            Self::StallRequest,
            Self::StallBeforeHeaders,
            Self::StallMidStream { after },
            Self::Drip { interval_ms: 1 },
            Self::ErrorEvent { after },
            Self::NamedErrorEvent { after },
            Self::Truncate { after },
            Self::DoneWithoutFinish { after },
            Self::Abort { after },
            Self::InvalidJson { after },
            Self::InvalidUtf8 { after },
            Self::ContentLengthLong,
            Self::ContentLengthShort,
            Self::BadChunkSize { after },
            Self::HugeHeader { bytes: HUGE },
            Self::ManyHeaders { count: 1000 },
            Self::HugeLine { bytes: HUGE },
            Self::GzipBomb { bytes: HUGE },
            Self::Redirect { code: 307 },
            Self::EmptyOk,
            Self::NonJson,
            Self::GoAway,
            Self::RstStream { after },
        ]
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().splitn(3, ':');
        let name = parts.next().unwrap_or_default();
        let first = parts.next();
        let second = parts.next();
        if name == "none" {
            return Ok(Self::None);
        }
        let template = Self::all()
            .into_iter()
            .find(|fault| fault.name() == name)
            .ok_or_else(|| format!("no fault is called `{name}`"))?;
        if second.is_some() && !matches!(template, Self::Status { .. }) {
            return Err(format!("too many parameters in `{text}`"));
        }
        let Some(first) = first else {
            return Ok(template);
        };
        let number: u64 = first.parse().map_err(|_| format!("`{first}` is not a number in `{text}`"))?;
        let small = || u32::try_from(number).map_err(|_| format!("`{first}` is too large in `{text}`"));
        Ok(match template {
            Self::Status { engine, .. } => Self::Status {
                code: u16::try_from(number)
                    .ok()
                    .filter(|code| (400..600).contains(code))
                    .ok_or_else(|| format!("`{first}` is no error status"))?,
                engine: second.map_or(Ok(engine), str::parse)?,
            },
            Self::Redirect { .. } => Self::Redirect {
                code: u16::try_from(number)
                    .ok()
                    .filter(|code| [301, 302, 303, 307, 308].contains(code))
                    .ok_or_else(|| format!("`{first}` is no redirect status"))?,
            },
            Self::Drip { .. } => Self::Drip { interval_ms: small()? },
            Self::ManyHeaders { .. } => Self::ManyHeaders { count: small()? },
            Self::HugeHeader { .. } => Self::HugeHeader { bytes: number },
            Self::HugeLine { .. } => Self::HugeLine { bytes: number },
            Self::GzipBomb { .. } => Self::GzipBomb { bytes: number },
            Self::ResetMidStream { .. } => Self::ResetMidStream { after: small()? },
            Self::CloseMidStream { .. } => Self::CloseMidStream { after: small()? },
            Self::StallMidStream { .. } => Self::StallMidStream { after: small()? },
            Self::ErrorEvent { .. } => Self::ErrorEvent { after: small()? },
            Self::NamedErrorEvent { .. } => Self::NamedErrorEvent { after: small()? },
            Self::Truncate { .. } => Self::Truncate { after: small()? },
            Self::DoneWithoutFinish { .. } => Self::DoneWithoutFinish { after: small()? },
            Self::Abort { .. } => Self::Abort { after: small()? },
            Self::InvalidJson { .. } => Self::InvalidJson { after: small()? },
            Self::InvalidUtf8 { .. } => Self::InvalidUtf8 { after: small()? },
            Self::BadChunkSize { .. } => Self::BadChunkSize { after: small()? },
            Self::RstStream { .. } => Self::RstStream { after: small()? },
            plain => return Err(format!("fault `{}` takes no parameter", plain.name())),
        })
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `FAULT`, `FAULT@PROBABILITY` or `FAULT#ORDINAL,ORDINAL...`.
impl FromStr for FaultRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = if let Some((fault, share)) = text.split_once('@') {
            let probability =
                share.parse().map_err(|_| format!("`{share}` is not a probability in `{text}`"))?;
            Self::sometimes(fault.parse()?, probability)
        } else if let Some((fault, list)) = text.split_once('#') {
            let ordinals: Vec<u64> = list
                .split(',')
                .map(|n| n.trim().parse().map_err(|_| format!("`{n}` is not a request number in `{text}`")))
                .collect::<Result<_, _>>()?;
            Self::at(fault.parse()?, ordinals)
        } else {
            Self::every(text.parse()?)
        };
        rule.problem().map_or(Ok(rule), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_back_from_its_text() {
        for fault in Fault::all().into_iter().chain([Fault::None]) {
            assert_eq!(fault.to_string().parse(), Ok(fault), "{fault}");
            assert_eq!(fault.name().parse::<Fault>().map(|f| f.name()), Ok(fault.name()));
        }
    }

    #[test]
    fn rules_name_share_or_ordinals() {
        let rule: FaultRule = "status:429:dynamo@0.25".parse().expect("share");
        assert_eq!(rule, FaultRule::sometimes(Fault::Status { code: 429, engine: Engine::Dynamo }, 0.25));
        let rule: FaultRule = "reset-mid-stream:3#5, 6".parse().expect("ordinals");
        assert_eq!(rule, FaultRule::at(Fault::ResetMidStream { after: 3 }, [5, 6]));
        for wrong in
            ["", "nope", "status:200", "drip:x", "truncate@1.5", "truncate#", "empty-ok:3", "drip:1:2"]
        {
            assert!(wrong.parse::<FaultRule>().is_err(), "{wrong} was accepted");
        }
    }
}
