//! Small languages inside flags: headers, extra inputs, goodput objectives.

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use tokmeter_record::metric::{SloError, Slos};

use crate::exit::Failure;

/// `--header`: `Name:Value`, or a JSON object of them.
pub fn headers(given: &[String]) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let mut headers = Vec::new();
    for text in given {
        if text.trim_start().starts_with('{') {
            let fields: Map<String, Value> = serde_json::from_str(text)
                .map_err(|error| Failure::usage(format!("--header: not a JSON object: {error}")))?;
            for (name, value) in &fields {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                headers.push(header(name, &value)?);
            }
        } else {
            let (name, value) = text.split_once(':').ok_or_else(|| {
                Failure::usage("--header: expected `Name:Value`").fix("for example --header 'X-Team:search'")
            })?;
            headers.push(header(name, value)?);
        }
    }
    Ok(headers)
}

/// The message never repeats the value: it may be a secret.
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let name = name.trim();
    let parsed: HeaderName =
        name.parse().map_err(|_| Failure::usage(format!("--header: `{name}` is no header name")))?;
    let mut value = HeaderValue::from_str(value.trim()).map_err(|_| {
        Failure::usage(format!("--header: the value of `{name}` has characters a header cannot hold"))
    })?;
    value.set_sensitive(tokmeter_engine::secret::is_sensitive(name));
    Ok((parsed, value))
}

/// `--extra-inputs`: `key:value` (the value as JSON where it is JSON, else as text), or a JSON object.
pub fn extra_inputs(given: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut fields = Map::new();
    for text in given {
        if text.trim_start().starts_with('{') {
            let more: Map<String, Value> = serde_json::from_str(text)
                .map_err(|error| Failure::usage(format!("--extra-inputs: not a JSON object: {error}")))?;
            fields.extend(more);
        } else {
            let (key, value) = text.split_once(':').ok_or_else(|| {
                Failure::usage("--extra-inputs: expected `key:value` or a JSON object")
                    .fix("for example --extra-inputs temperature:0 ignore_eos:true")
            })?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
            fields.insert(key.trim().to_owned(), value);
        }
    }
    Ok(fields)
}

/// `--goodput`: `tag:number` pairs, separated by blanks; numbers in the metric's unit.
pub fn goodput(given: &[String]) -> Result<Slos, Failure> {
    given.join(" ").parse().map_err(|error: SloError| Failure::usage(format!("--goodput: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn headers_in_both_forms() {
        let given = headers(&strings(&["X-Team: search", r#"{"X-Tier":"gold","X-N":3}"#])).unwrap();
        let mut shown: Vec<_> = given.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        shown.sort_unstable();
        assert_eq!(shown, [("x-n", "3"), ("x-team", "search"), ("x-tier", "gold")]);
    }

    #[test]
    fn a_wrong_header_never_shows_its_value() {
        let failure = headers(&strings(&["Authorization: sec\nret"])).unwrap_err();
        assert!(!failure.message.contains("sec"), "{failure}");
        assert!(headers(&strings(&["no-colon"])).is_err());
    }

    #[test]
    fn extra_inputs_are_json_where_they_are_json() {
        let fields =
            extra_inputs(&strings(&["temperature:0.5", "ignore_eos:true", "user:me", r#"{"a":{"b":[1]}}"#]));
        assert_eq!(
            Value::Object(fields.unwrap()),
            serde_json::json!({"temperature": 0.5, "ignore_eos": true, "user": "me", "a": {"b": [1]}})
        );
        assert!(extra_inputs(&strings(&["nothing"])).is_err());
    }

    #[test]
    fn goodput_names_metrics_of_requests() {
        let objectives = goodput(&strings(&["time_to_first_token:200 request_latency:1000"])).unwrap();
        assert_eq!(objectives.iter().count(), 2);
        assert!(goodput(&strings(&["request_throughput:5"])).unwrap_err().message.contains("single request"));
        assert!(goodput(&strings(&["time_to_first_token"])).is_err());
    }
}
