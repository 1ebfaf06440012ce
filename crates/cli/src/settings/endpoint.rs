//! Endpoint flags become what every request has in common.

use std::sync::Arc;

use tokmeter_engine::endpoint::{Endpoint, EndpointType};
use tokmeter_engine::request::{RequestConfig, Target};
use tokmeter_engine::schedule::Cancellations;
use tokmeter_engine::secret::Secret;
use tokmeter_http::config::ReuseStrategy;
use tokmeter_http::exchange::Origin;
use tokmeter_http::origin::Url;

use super::{pairs, transport};
use crate::args::profile::ProfileArgs;
use crate::exit::Failure;

/// Resolves the endpoint flags.
pub fn resolve(args: &ProfileArgs, reuse: ReuseStrategy) -> Result<RequestConfig, Failure> {
    let given = &args.endpoint;
    let kind = given.endpoint_type;
    let api = kind.metadata();
    if let Some(key) = &given.api_key
        && !key.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(Failure::usage("--api-key: the key has characters a header cannot hold (a line end?)"));
    }
    if let Some(path) = &given.custom_endpoint
        && !path.starts_with('/')
    {
        return Err(Failure::usage(format!("--endpoint: `{path}` is no path"))
            .fix(format!("paths begin with /, for example {}", api.path.unwrap_or("/v1/chat/completions"))));
    }
    Ok(RequestConfig {
        endpoint: Arc::new(endpoint(args, kind)?),
        models: given.model_names.iter().map(|name| Arc::from(name.as_str())).collect(),
        targets: targets(args)?,
        streaming: given.streaming && api.supports_streaming,
        api_key: given.api_key.as_deref().map(Secret::new),
        headers: pairs::headers(&given.header)?,
        extra: pairs::extra_inputs(&given.extra_inputs)?,
        legacy_max_tokens: given.use_legacy_max_tokens,
        per_chunk_usage: args.tokens.per_chunk_usage,
        include_usage: true,
        timeout: transport::seconds("--request-timeout-seconds", given.request_timeout_seconds)?,
        sticky: reuse == ReuseStrategy::Sticky,
        cancellation: None::<Cancellations>,
    })
}

fn endpoint(args: &ProfileArgs, kind: EndpointType) -> Result<Endpoint, Failure> {
    let _ = args;
    Ok(Endpoint::new(kind))
}

/// The servers, each with the path of its requests.
fn targets(args: &ProfileArgs) -> Result<Vec<Target>, Failure> {
    let api = args.endpoint.endpoint_type.metadata();
    args.endpoint
        .url
        .iter()
        .map(|text| {
            let url: Url =
                text.parse().map_err(|error| Failure::usage(format!("--url: {error}")).fix(URL_FORM))?;
            let own = args.endpoint.custom_endpoint.as_deref().or(api.path);
            Ok(Target { origin: Arc::new(Origin::clone(&url.origin)), path: url.join(own).into() })
        })
        .collect()
}

const URL_FORM: &str = "give host:port or http(s)://host:port";
