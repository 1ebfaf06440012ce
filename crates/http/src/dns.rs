//! Resolving names: getaddrinfo on the blocking pool, and a cache that knows its age.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokmeter_record::{ErrorClass, MonoNs, Side};

use crate::clock;
use crate::failure::Failure;

/// What a name resolved to, and when.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// Addresses in the order to try them: the resolver's order, the families alternating.
    pub(crate) addresses: Rc<[IpAddr]>,
    /// Around getaddrinfo itself, without the wait for a thread; `None` for an answer from the cache.
    pub(crate) lookup: Option<(MonoNs, MonoNs)>,
}

/// Addresses, and the instants around getaddrinfo.
type Found<A> = Result<(A, MonoNs, MonoNs), Failure>;

struct Entry {
    /// Filled by the first request that wants the name; the others wait for it.
    outcome: OnceCell<Found<Rc<[IpAddr]>>>,
    expires: Cell<u64>,
}

/// The names of one client.
pub(crate) struct Resolver {
    ttl_ns: u64,
    names: RefCell<HashMap<String, Rc<Entry>>>,
    hits: Cell<u64>,
    misses: Cell<u64>,
}

impl Resolver {
    pub(crate) fn new(ttl: Duration) -> Self {
        Resolver {
            ttl_ns: u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX),
            names: RefCell::default(),
            hits: Cell::new(0),
            misses: Cell::new(0),
        }
    }

    /// Answers from the cache and lookups, so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.hits.get(), self.misses.get())
    }

    /// The next request for this name looks it up again: its addresses did not answer.
    pub(crate) fn forget(&self, host: &str) {
        self.names.borrow_mut().remove(host);
    }

    /// Resolves a name. Requests that want a name while it is being looked up wait for that lookup; each of
    /// them is a miss whose lookup began when that one did.
    pub(crate) async fn resolve(&self, host: &str) -> Result<Resolved, Failure> {
        let (entry, fresh) = self.entry(host);
        if !fresh && let Some(Ok((addresses, ..))) = entry.outcome.get() {
            self.hits.set(self.hits.get() + 1);
            return Ok(Resolved { addresses: Rc::clone(addresses), lookup: None });
        }
        self.misses.set(self.misses.get() + 1);
        let outcome = entry
            .outcome
            .get_or_init(|| async {
                let (addresses, start, end) = look_up(host.to_owned()).await?;
                Ok((Rc::from(alternating(addresses)), start, end))
            })
            .await;
        match outcome {
            Ok((addresses, start, end)) => {
                entry.expires.set(end.0.saturating_add(self.ttl_ns));
                Ok(Resolved { addresses: Rc::clone(addresses), lookup: Some((*start, *end)) })
            }
            Err(failure) => {
                self.remove(host, &entry);
                Err(failure.clone())
            }
        }
    }

    fn entry(&self, host: &str) -> (Rc<Entry>, bool) {
        let mut names = self.names.borrow_mut();
        if let Some(entry) = names.get(host)
            && (entry.outcome.get().is_none() || clock::now().0 < entry.expires.get())
        {
            return (Rc::clone(entry), false);
        }
        let entry = Rc::new(Entry { outcome: OnceCell::new(), expires: Cell::new(u64::MAX) });
        names.insert(host.to_owned(), Rc::clone(&entry));
        (entry, true)
    }

    fn remove(&self, host: &str, entry: &Rc<Entry>) {
        let mut names = self.names.borrow_mut();
        if names.get(host).is_some_and(|current| Rc::ptr_eq(current, entry)) {
            names.remove(host);
        }
    }
}

async fn look_up(host: String) -> Found<Vec<IpAddr>> {
    let shown = host.clone();
    let looked_up = tokio::task::spawn_blocking(move || {
        let start = clock::now();
        let addresses = (host.as_str(), 0).to_socket_addrs();
        (addresses.map(|all| all.map(|address| address.ip()).collect::<Vec<_>>()), start, clock::now())
    })
    .await;
    match looked_up {
        Ok((Ok(addresses), start, end)) if !addresses.is_empty() => Ok((addresses, start, end)),
        Ok((Ok(_), ..)) => {
            Err(Failure::new(ErrorClass::Dns, Side::Network, format!("the name {shown} has no address")))
        }
        Ok((Err(error), ..)) => Err(Failure::new(
            ErrorClass::Dns,
            Side::Network,
            format!("the name {shown} does not resolve; is it spelled right, and is DNS reachable?"),
        )
        .caused_by(&error)),
        Err(error) => {
            Err(Failure::new(ErrorClass::Dns, Side::Client, format!("the lookup of {shown} was abandoned"))
                .caused_by(&error))
        }
    }
}

/// Without duplicates, the families alternating, beginning with the resolver's first (RFC 8305 section 4).
fn alternating(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut unique: Vec<IpAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    let Some(first) = unique.first().copied() else { return unique };
    let (same, other): (Vec<_>, Vec<_>) =
        unique.iter().copied().partition(|address| address.is_ipv4() == first.is_ipv4());
    let mut ordered = Vec::with_capacity(unique.len());
    for index in 0..same.len().max(other.len()) {
        ordered.extend(same.get(index));
        ordered.extend(other.get(index));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate() {
        let all = ["::1", "::2", "::1", "10.0.0.1", "10.0.0.2", "10.0.0.3"];
        let parsed = all.map(|text| text.parse::<IpAddr>().expect("an address")).to_vec();
        let ordered: Vec<String> = alternating(parsed).iter().map(ToString::to_string).collect();
        assert_eq!(ordered, ["::1", "10.0.0.1", "::2", "10.0.0.2", "10.0.0.3"]);
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn a_second_request_is_answered_from_the_cache() {
        block_on(async {
            let resolver = Resolver::new(Duration::from_secs(60));
            let first = resolver.resolve("localhost").await.expect("localhost resolves");
            let (start, end) = first.lookup.expect("a lookup");
            assert!(start <= end);
            let second = resolver.resolve("localhost").await.expect("localhost resolves");
            assert_eq!(second.lookup, None);
            assert_eq!(second.addresses, first.addresses);
            assert_eq!(resolver.counts(), (1, 1));
        });
    }

    #[test]
    fn a_ttl_of_zero_looks_up_each_time_and_so_does_a_forgotten_name() {
        block_on(async {
            let resolver = Resolver::new(Duration::ZERO);
            for _ in 0..2 {
                assert!(resolver.resolve("localhost").await.expect("resolves").lookup.is_some());
            }
            let resolver = Resolver::new(Duration::from_secs(60));
            resolver.resolve("localhost").await.expect("resolves");
            resolver.forget("localhost");
            assert!(resolver.resolve("localhost").await.expect("resolves").lookup.is_some());
        });
    }

    #[test]
    fn requests_at_once_share_one_lookup() {
        block_on(async {
            let resolver = Resolver::new(Duration::from_secs(60));
            let (a, b) = tokio::join!(resolver.resolve("localhost"), resolver.resolve("localhost"));
            assert_eq!(a.expect("resolves").lookup, b.expect("resolves").lookup);
            assert_eq!(resolver.counts(), (0, 2));
        });
    }

    #[test]
    fn a_name_that_is_none_fails_as_dns_each_time() {
        block_on(async {
            let resolver = Resolver::new(Duration::from_secs(60));
            for _ in 0..2 {
                let failure = resolver.resolve("no-such-host.invalid").await.expect_err("no such name");
                assert_eq!((failure.class, failure.side), (ErrorClass::Dns, Side::Network));
                assert!(failure.message.contains("no-such-host.invalid"));
            }
        });
    }
}
