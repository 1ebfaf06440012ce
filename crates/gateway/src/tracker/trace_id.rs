//! The trace a request belongs to (W3C Trace Context).

use std::fmt;

/// A trace id: 32 lower-case hex digits, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 32]);

impl TraceId {
    /// The trace id of a `traceparent` header, `None` when the header is not valid.
    ///
    /// Versions above 00 may carry more after the flags; version ff is forbidden.
    pub fn of_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let well_formed = hex(version, 2)
            && version != "ff"
            && hex(parent, 16)
            && hex(flags, 2)
            && hex(trace, 32)
            && (version != "00" || parts.next().is_none());
        let zero = trace.bytes().all(|byte| byte == b'0') || parent.bytes().all(|byte| byte == b'0');
        (well_formed && !zero).then(|| trace.as_bytes().try_into().ok().map(TraceId)).flatten()
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        // Only ASCII digits are ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_headers_have_a_trace() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let of = |header: String| TraceId::of_traceparent(&header).map(|trace| trace.to_string());
        assert_eq!(of(format!("00-{trace}-b7ad6b7169203331-01")).as_deref(), Some(trace));
        assert_eq!(of(format!("01-{trace}-b7ad6b7169203331-01-more")).as_deref(), Some(trace));
        for bad in [
            format!("00-{trace}-b7ad6b7169203331-01-more"),
            format!("ff-{trace}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase()),
            format!("00-{trace}-b7ad6b7169203331"),
            "\"} 1\n".to_owned(),
        ] {
            assert_eq!(of(bad.clone()), None, "{bad}");
        }
    }
}
