//! Times as files show them to people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::time::WallNs;

fn timestamp(at: WallNs) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or(Timestamp::MAX)
}

/// Local time without offset, ISO 8601 with microseconds: `2026-11-22T04:36:40.801186`.
pub fn local_time(at: WallNs) -> String {
    timestamp(at).to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// The instant of a local time without offset, as this machine's time zone has it.
pub fn parse_local_time(text: &str) -> Option<WallNs> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let at = civil.to_zoned(TimeZone::system()).ok()?.timestamp().as_nanosecond();
    u64::try_from(at).ok().map(WallNs)
}

/// UTC with offset, ISO 8601 with microseconds: `2026-11-22T04:36:44.968511+00:00`.
pub fn utc_time(at: WallNs) -> String {
    timestamp(at).strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_comes_back_to_the_microsecond() {
        let at = WallNs(1_795_322_204_968_511_999);
        assert_eq!(parse_local_time(&local_time(at)), Some(WallNs(1_795_322_204_968_511_000)));
        assert_eq!(parse_local_time("yesterday"), None);
    }

    #[test]
    fn microseconds_and_offset() {
        assert_eq!(utc_time(WallNs(1_795_322_204_968_511_999)), "2026-11-22T04:36:44.968511+00:00");
        let local = local_time(WallNs(1_795_322_204_968_511_999));
        assert!(local.len() == 26 && local.ends_with(".968511"), "{local}");
        assert_eq!(utc_time(WallNs(u64::MAX)).len(), 32);
    }
}
