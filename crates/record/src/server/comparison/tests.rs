use super::*;

fn histogram(role: Role, count: u64, avg: f64) -> (Role, RoleReading) {
    let reading = RoleReading {
        role,
        metric: "a:histogram".into(),
        count: Some(count),
        total: Some(avg * count as f64),
        avg: Some(avg),
        max: None,
        p50: Some(avg),
        p90: Some(avg),
        p99: Some(2.0 * avg),
    };
    (role, reading)
}

fn counter(role: Role, total: f64) -> (Role, RoleReading) {
    let (_, reading) = histogram(role, 0, 0.0);
    let none = RoleReading { count: None, avg: None, p50: None, p90: None, p99: None, ..reading };
    (role, RoleReading { total: Some(total), ..none })
}

fn gauge(role: Role, avg: f64) -> (Role, RoleReading) {
    let (_, reading) = counter(role, 0.0);
    (role, RoleReading { total: None, avg: Some(avg), max: Some(2.0 * avg), ..reading })
}

fn view(engine: Engine, url: &str, readings: Vec<(Role, RoleReading)>) -> ServerView {
    ServerView { engine, endpoint_url: url.into(), readings: readings.into_iter().collect() }
}

fn client() -> MetricSet {
    let mut set = MetricSet::default();
    let mut scalar = |id: MetricId, value: f64| {
        set.insert(id.tag(), MetricSummary::scalar(id.def().unit, value).expect("finite"));
    };
    scalar(c::TIME_TO_FIRST_TOKEN, 25.0);
    scalar(c::HTTP_REQ_CONNECTION_OVERHEAD, 1.0);
    scalar(c::HTTP_REQ_SENDING, 0.5);
    scalar(c::CLIENT_RECV_LAG, 0.25);
    scalar(c::EFFECTIVE_CONCURRENCY, 4.0);
    scalar(c::COMPLETED_REQUEST_COUNT, 100.0);
    scalar(c::TOTAL_ISL, 640.0);
    set
}

fn row(side: &SideBySide, quantity: Compared) -> &Comparison {
    side.rows.iter().find(|row| row.quantity == quantity).expect("a row")
}

#[test]
fn a_difference_is_the_sum_of_its_parts() {
    let engine = view(
        Engine::Vllm,
        "http://a/metrics",
        vec![
            histogram(Role::TimeToFirstToken, 100, 0.02),
            histogram(Role::QueueTime, 100, 0.004),
            gauge(Role::Running, 3.0),
            gauge(Role::Waiting, 0.5),
            counter(Role::Requests, 100.0),
            counter(Role::PromptTokens, 650.0),
        ],
    );
    let sides = side_by_side(&[engine], &client());
    let ttft = row(&sides[0], Compared::TimeToFirstToken);
    assert_eq!((ttft.client.avg, ttft.server.avg, ttft.difference), (Some(25.0), Some(20.0), Some(5.0)));
    assert_eq!(ttft.server.p99, Some(40.0));
    let shares: Vec<(Cause, f64)> = ttft.shares.iter().map(|share| (share.cause, share.ms)).collect();
    assert_eq!(shares, [(Cause::ConnectionSetup, 1.0), (Cause::Sending, 0.5), (Cause::Network, 3.5)]);
    assert_eq!(
        sides[0].client_lag_ms,
        Some(0.25),
        "kept out by the kernel's stamps, so no part of the difference"
    );
    let queue = row(&sides[0], Compared::QueueTime);
    assert_eq!((queue.client, queue.server.avg, queue.difference), (Side::default(), Some(4.0), None));
    assert_eq!(row(&sides[0], Compared::RequestsInFlight).server.avg, Some(3.5));
    assert_eq!(row(&sides[0], Compared::RequestsWaiting).server.max, Some(1.0));
    assert_eq!(row(&sides[0], Compared::PromptTokens).difference, Some(-10.0));
    assert!(sides[0].notes.is_empty(), "{:?}", sides[0].notes);
}

#[test]
fn a_front_end_is_the_gateway_of_the_engine_behind_it() {
    let views = [
        view(Engine::Vllm, "http://worker/metrics", vec![histogram(Role::TimeToFirstToken, 100, 0.02)]),
        view(
            Engine::Dynamo,
            "http://front/metrics",
            vec![
                histogram(Role::TimeToFirstToken, 100, 0.023),
                gauge(Role::Running, 4.0),
                gauge(Role::Waiting, 1.0),
            ],
        ),
    ];
    let sides = side_by_side(&views, &client());
    let of = |engine| sides.iter().find(|side| side.engine == engine).expect("an engine");
    let share = |engine, cause| {
        let ttft = row(of(engine), Compared::TimeToFirstToken);
        ttft.shares.iter().find(|share| share.cause == cause).map(|share| share.ms)
    };
    assert!((share(Engine::Vllm, Cause::Gateway).expect("a gateway") - 3.0).abs() < 1e-9);
    assert!((share(Engine::Vllm, Cause::Network).expect("a rest") - 0.5).abs() < 1e-9);
    assert_eq!(share(Engine::Dynamo, Cause::Gateway), None);
    assert!((share(Engine::Dynamo, Cause::Network).expect("a rest") - 0.5).abs() < 1e-9);
    let in_flight = row(of(Engine::Dynamo), Compared::RequestsInFlight);
    assert_eq!(
        (in_flight.server.avg, in_flight.difference),
        (Some(4.0), Some(0.0)),
        "waiting ones are among them"
    );
}

#[test]
fn replicas_are_one_server() {
    let replica = |url, count, avg| {
        view(
            Engine::Sglang,
            url,
            vec![
                histogram(Role::TimeToFirstToken, count, avg),
                gauge(Role::Running, 2.0),
                counter(Role::Requests, count as f64),
            ],
        )
    };
    let busy = [replica("http://a/metrics", 90, 0.01), replica("http://b/metrics", 10, 0.02)];
    let sides = side_by_side(&busy, &client());
    let ttft = row(&sides[0], Compared::TimeToFirstToken);
    assert!((ttft.server.avg.expect("a mean") - 11.0).abs() < 1e-9);
    assert_eq!(ttft.server.p99, None, "percentiles of two servers cannot be joined");
    assert_eq!(row(&sides[0], Compared::Requests).difference, Some(0.0));
    assert_eq!(sides[0].endpoint_urls.len(), 2);
    let idle = [replica("http://a/metrics", 90, 0.01), replica("http://b/metrics", 0, 0.0)];
    assert_eq!(row(&side_by_side(&idle, &client())[0], Compared::TimeToFirstToken).server.p99, Some(20.0));
}

#[test]
fn requests_of_others_are_told() {
    let engine = |total| view(Engine::Vllm, "http://a/metrics", vec![counter(Role::Requests, total)]);
    let note = |total| side_by_side(&[engine(total)], &client())[0].notes.join("");
    assert!(note(130.0).contains("others use the server"), "{}", note(130.0));
    assert!(note(70.0).contains("70 of the client's 100"), "{}", note(70.0));
    assert_eq!(note(100.0), "");
    assert!(side_by_side(&[engine(0.0)], &client()).is_empty(), "an idle engine served nobody");
}

#[test]
fn without_kernel_stamps_the_rest_has_the_lag_in_it() {
    let mut client = MetricSet::default();
    let ttft = MetricSummary::scalar("ms", 25.0).expect("finite");
    client.insert(c::TIME_TO_FIRST_TOKEN.tag(), ttft);
    let engine = view(Engine::Vllm, "http://a/metrics", vec![histogram(Role::TimeToFirstToken, 10, 0.02)]);
    let sides = side_by_side(&[engine], &client);
    let shares = &row(&sides[0], Compared::TimeToFirstToken).shares;
    assert_eq!(shares, &[Share { cause: Cause::NetworkAndClientLag, ms: 5.0 }]);
    assert_eq!(sides[0].client_lag_ms, None);
}
