//! TLS failures in words: what is wrong with the certificate or the handshake, and what to do.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use tokmeter_record::{ErrorClass, Phase, Side};

use super::Failure;
use crate::tls::UntrustedChain;

impl Failure {
    /// A TLS failure of the connection to `peer`.
    pub(crate) fn from_tls(error: &Error, phase: Phase, peer: &str) -> Self {
        let handshake = phase == Phase::Tls;
        let message = match error {
            Error::InvalidCertificate(certificate) => {
                format!("the certificate of {peer} {}", certificate_words(certificate))
            }
            Error::AlertReceived(alert) => format!("{peer} {}", alert_words(*alert)),
            Error::NoApplicationProtocol => {
                format!("{peer} speaks none of the offered protocols (ALPN)")
            }
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
            | Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig) => {
                format!("{peer} speaks no TLS version this client accepts (1.2 or 1.3)")
            }
            Error::InvalidMessage(InvalidMessage::InvalidContentType) if handshake => {
                format!("{peer} does not answer with TLS; is it plain http?")
            }
            Error::InvalidMessage(_) if handshake => {
                format!("{peer} does not answer with valid TLS ({error})")
            }
            _ => format!("TLS with {peer} failed: {error}"),
        };
        let side = match error {
            Error::InvalidCertificate(_) | Error::AlertReceived(_) => Side::Network,
            Error::FailedToGetRandomBytes | Error::FailedToGetCurrentTime => Side::Client,
            _ => Side::Network,
        };
        Failure::new(ErrorClass::Tls, side, message)
    }
}

fn certificate_words(error: &CertificateError) -> String {
    use CertificateError as C;
    match error {
        C::Expired | C::ExpiredContext { .. } => match error {
            C::ExpiredContext { time, not_after } => {
                format!("has expired, {} ago", days(time.as_secs().saturating_sub(not_after.as_secs())))
            }
            _ => "has expired".into(),
        },
        C::NotValidYet => "is not valid yet; is this machine's clock right?".into(),
        C::NotValidYetContext { time, not_before } => format!(
            "is not valid for another {}; is this machine's clock right?",
            days(not_before.as_secs().saturating_sub(time.as_secs()))
        ),
        C::NotValidForName => "is for another name".into(),
        C::NotValidForNameContext { expected, presented } => {
            let shown: Vec<&str> = presented.iter().take(5).map(String::as_str).collect();
            format!("is not for the name {}; it is for {}", expected.to_str(), shown.join(", "))
        }
        C::UnknownIssuer => {
            "is signed by a CA this machine does not trust; give its CA certificate (--cacert)".into()
        }
        C::Revoked => "has been revoked".into(),
        C::BadEncoding => "cannot be read (bad encoding)".into(),
        C::BadSignature => {
            "has a signature that does not fit; was its CA renewed under the same name?".into()
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => "is not for servers".into(),
        C::Other(other) => match other.0.downcast_ref::<UntrustedChain>() {
            Some(chain) => chain.to_string(),
            None if other.0.to_string().contains("CaUsedAsEndEntity") => {
                "is a CA certificate used as a server's; trust the certificate itself or make a proper one"
                    .into()
            }
            None => format!("is refused: {}", other.0),
        },
        other => format!("is refused: {other}"),
    }
}

fn days(seconds: u64) -> String {
    match seconds / 86_400 {
        0 => format!("{} min", seconds / 60),
        1 => "1 day".into(),
        days => format!("{days} days"),
    }
}

fn alert_words(alert: AlertDescription) -> String {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => "requires a client certificate (--cert and --key)".into(),
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown | A::AccessDenied => {
            format!("refuses our client certificate (TLS alert {alert:?})")
        }
        A::CertificateExpired => "says our client certificate has expired".into(),
        A::CertificateRevoked => "says our client certificate has been revoked".into(),
        A::UnknownCA => "does not trust the CA of our client certificate".into(),
        A::UnrecognisedName => "does not know the host name we asked for (SNI)".into(),
        A::ProtocolVersion => "speaks no TLS version this client accepts (1.2 or 1.3)".into(),
        A::HandshakeFailure => "found no common TLS parameters".into(),
        A::NoApplicationProtocol => "speaks none of the offered protocols (ALPN)".into(),
        other => format!("ended TLS with alert {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(error: CertificateError) -> String {
        Failure::from_tls(&Error::InvalidCertificate(error), Phase::Tls, "llm.test:443").message
    }

    #[test]
    fn each_certificate_fault_has_its_own_words() {
        assert_eq!(words(CertificateError::Expired), "the certificate of llm.test:443 has expired");
        assert!(words(CertificateError::UnknownIssuer).contains("does not trust"));
        let wrong_name = CertificateError::NotValidForNameContext {
            expected: "llm.test".try_into().expect("a name"),
            presented: vec!["other.test".into()],
        };
        let text = words(wrong_name);
        assert!(text.contains("llm.test") && text.contains("other.test"), "{text}");
    }

    #[test]
    fn an_alert_about_our_certificate_says_so() {
        let failure = Failure::from_tls(
            &Error::AlertReceived(AlertDescription::CertificateRequired),
            Phase::Receiving,
            "llm.test:443",
        );
        assert!(failure.message.contains("client certificate"), "{}", failure.message);
    }
}
