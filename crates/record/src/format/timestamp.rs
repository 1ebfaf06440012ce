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

/// An instant as a user types it: RFC 3339 with an offset (`2026-11-23T09:00:00Z`), or seconds since the Unix epoch,
/// with a fraction or without.
///
/// # Errors
/// What was expected.
pub fn parse_instant(text: &str) -> Result<WallNs, &'static str> {
    const EXPECTED: &str = "expected RFC 3339 with an offset (2026-11-23T09:00:00Z) or Unix seconds";
    if let Some(at) = unix_seconds(text) {
        return Ok(at);
    }
    let at: Timestamp = text.parse().map_err(|_| EXPECTED)?;
    u64::try_from(at.as_nanosecond()).map(WallNs).map_err(|_| "before 1970")
}

/// Decimal digits only, so that no nanosecond is lost to a float.
fn unix_seconds(text: &str) -> Option<WallNs> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds: u64 = whole.parse().ok()?;
    let nanoseconds: u64 = format!("{fraction:0<9}").parse().ok()?;
    Some(WallNs(seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)?))
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
    fn instants_are_read_to_the_nanosecond() {
        let at = |text| parse_instant(text).map(|at| at.0);
        assert_eq!(at("1795322204"), Ok(1_795_322_204_000_000_000));
        assert_eq!(at("1795322204.000000001"), Ok(1_795_322_204_000_000_001));
        assert_eq!(at("1795322204.5"), Ok(1_795_322_204_500_000_000));
        assert_eq!(at("2026-11-22T04:36:44.5Z"), Ok(1_795_322_204_500_000_000));
        assert_eq!(at("2026-11-22T06:36:44.5+02:00"), Ok(1_795_322_204_500_000_000));
        for text in ["", "soon", "-5", "1e9", "2026-11-22T04:36:44", "99999999999999999999", "1."] {
            assert!(at(text).is_err_and(|reason| reason.contains("RFC 3339")), "{text}");
        }
        assert_eq!(at("1960-01-01T00:00:00Z"), Err("before 1970"));
    }

    #[test]
    fn microseconds_and_offset() {
        assert_eq!(utc_time(WallNs(1_795_322_204_968_511_999)), "2026-11-22T04:36:44.968511+00:00");
        let local = local_time(WallNs(1_795_322_204_968_511_999));
        assert!(local.len() == 26 && local.ends_with(".968511"), "{local}");
        assert_eq!(utc_time(WallNs(u64::MAX)).len(), 32);
    }
}
