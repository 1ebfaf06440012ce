//! Where a request goes, and which endpoint it counts for.

use std::collections::HashMap;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

use super::config::{ConfigError, GatewayConfig};
use super::keys::upstream_authorization;

/// Route templates that have a label value of their own.
pub const ENDPOINTS: [&str; 11] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/v1/models/{model}",
    "/v1/rerank",
    "/v1/audio/speech",
    "/v1/images/generations",
];

/// The route template of a path.
pub fn endpoint_of(path: &str) -> Option<&'static str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    ENDPOINTS.into_iter().find(|endpoint| *endpoint == path).or_else(|| {
        let model = path.strip_prefix("/v1/models/")?;
        (!model.is_empty()).then_some("/v1/models/{model}")
    })
}

/// A server behind the gateway.
#[derive(Debug)]
pub struct Upstream {
    pub name: String,
    scheme: Scheme,
    authority: Authority,
    /// The `Host` it is asked as.
    pub host: HeaderValue,
    /// Put before the path of a request; without a slash at the end.
    prefix: String,
    /// Its own key.
    pub authorization: Option<HeaderValue>,
}

impl Upstream {
    /// Where a request for this path goes, `None` when the two make no URI.
    pub fn uri(&self, path: &Uri) -> Option<Uri> {
        let own = path.path_and_query().map_or("/", PathAndQuery::as_str);
        let joined = match self.prefix.as_str() {
            "" => path.path_and_query().cloned()?,
            prefix => format!("{prefix}{own}").parse().ok()?,
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(joined);
        Uri::from_parts(parts).ok()
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }
}

/// All upstreams and which model goes to which.
#[derive(Debug)]
pub struct Routes {
    upstreams: Vec<Arc<Upstream>>,
    models: HashMap<String, Arc<Upstream>>,
    otherwise: Option<Arc<Upstream>>,
}

impl Routes {
    pub fn new(config: &GatewayConfig) -> Result<Self, ConfigError> {
        let mut upstreams = Vec::with_capacity(config.upstreams.len());
        for upstream in &config.upstreams {
            let wrong = || ConfigError::Url { name: upstream.name.clone(), url: String::new() };
            let parts = upstream.uri()?.into_parts();
            let authority = parts.authority.ok_or_else(wrong)?;
            let prefix = parts.path_and_query.map(|path| path.path().trim_end_matches('/').to_owned());
            upstreams.push(Arc::new(Upstream {
                name: upstream.name.clone(),
                scheme: parts.scheme.ok_or_else(wrong)?,
                host: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
                authority,
                prefix: prefix.unwrap_or_default(),
                authorization: upstream_authorization(upstream)?,
            }));
        }
        let named = |name: &str| upstreams.iter().find(|upstream| upstream.name == name).cloned();
        let mut models = HashMap::new();
        let mut otherwise = if config.routes.is_empty() { upstreams.first().cloned() } else { None };
        for route in &config.routes {
            let Some(upstream) = named(&route.upstream) else { continue };
            match route.model.as_str() {
                "*" => otherwise = Some(upstream),
                model => {
                    models.insert(model.to_owned(), upstream);
                }
            }
        }
        Ok(Routes { upstreams, models, otherwise })
    }

    /// Where a model goes; `None` is a request without one.
    pub fn find(&self, model: Option<&str>) -> Option<&Arc<Upstream>> {
        model.and_then(|model| self.models.get(model)).or(self.otherwise.as_ref())
    }

    /// Whether any upstream speaks TLS.
    pub fn any_tls(&self) -> bool {
        self.upstreams.iter().any(|upstream| upstream.is_tls())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::config::{RouteConfig, UpstreamConfig};

    fn upstream(name: &str, url: &str) -> UpstreamConfig {
        UpstreamConfig { name: name.into(), url: url.into(), api_key_env: None, api_key_file: None }
    }

    #[test]
    fn models_find_their_upstream_and_the_rest_the_star() {
        let route =
            |model: &str, upstream: &str| RouteConfig { model: model.into(), upstream: upstream.into() };
        let mut config = GatewayConfig {
            upstreams: vec![upstream("a", "http://h:1/base/"), upstream("b", "https://g")],
            routes: vec![route("m", "a"), route("*", "b")],
            ..GatewayConfig::default()
        };
        let routes = Routes::new(&config).unwrap();
        let name = |model| routes.find(model).map(|upstream| upstream.name.as_str());
        assert_eq!((name(Some("m")), name(Some("x")), name(None)), (Some("a"), Some("b"), Some("b")));
        let asked = "/v1/models?x=1".parse().unwrap();
        let uri = |model| routes.find(model).unwrap().uri(&asked).unwrap().to_string();
        assert_eq!(uri(Some("m")), "http://h:1/base/v1/models?x=1");
        assert_eq!(uri(None), "https://g/v1/models?x=1");
        config.routes.pop();
        assert!(Routes::new(&config).unwrap().find(Some("x")).is_none());
    }

    #[test]
    fn paths_count_for_templates() {
        assert_eq!(endpoint_of("/v1/chat/completions/"), Some("/v1/chat/completions"));
        assert_eq!(endpoint_of("/v1/models/a/b"), Some("/v1/models/{model}"));
        assert_eq!(endpoint_of("/v1/models/"), Some("/v1/models"));
        assert_eq!(endpoint_of("/secret/123"), None);
    }
}
