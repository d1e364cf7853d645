//! Traces, as a collector gets them from nodes that run as processes.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use reqwest::Method;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::harness::{
    Answer, Person, eventually,
    launched::{Launched, Site},
    order, random_key,
};

const ENDPOINT: &str = "HOLDFAST_TELEMETRY__OTLP_ENDPOINT";
const RATIO: &str = "HOLDFAST_TELEMETRY__SAMPLE_RATIO";
/// What a client says of its own span.
const CLIENT_SPAN: &str = "00f067aa0ba902b7";
const STOPS_WITHIN: Duration = Duration::from_secs(10);

/// A span, and the node that exported it.
type Exported = (String, Span);

/// The collector's side of OTLP over HTTP.
struct Collector {
    endpoint: String,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    _serving: JoinSet<()>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let requests: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let mut serving = JoinSet::new();
        let taken = Arc::clone(&requests);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(take(stream, Arc::clone(&taken)));
            }
        });
        Self {
            endpoint,
            requests,
            _serving: serving,
        }
    }

    /// Lists the spans of one trace.
    fn trace(&self, trace_id: &str) -> Vec<Exported> {
        let mut found = Vec::new();
        for body in self.requests.lock().expect("no panic").iter() {
            let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("OTLP");
            for resource in request.resource_spans {
                let attributes = resource.resource.expect("a resource").attributes;
                let node = attributes
                    .into_iter()
                    .find(|attribute| attribute.key == "service.instance.id")
                    .and_then(|attribute| attribute.value?.value);
                let Some(Value::StringValue(node)) = node else {
                    panic!("spans of no node");
                };
                let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                found.extend(spans.map(|span| (node.clone(), span)));
            }
        }
        found.retain(|(_, span)| hex(&span.trace_id) == trace_id);
        found
    }

    /// Tells whether a text occurs in anything that was exported.
    fn has_seen(&self, text: &str) -> bool {
        let requests = self.requests.lock().expect("no panic");
        let mut bodies = requests.iter();
        bodies.any(|body| body.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

/// Answers every request of a connection with an empty success.
async fn take(stream: TcpStream, requests: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                let head = line.trim_end().to_ascii_lowercase();
                if head.is_empty() {
                    break;
                }
                if let Some(value) = head.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                if head.contains(" http/1.1") {
                    assert_eq!(head, "post /v1/traces http/1.1");
                }
            } else {
                return;
            }
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        requests.lock().expect("no panic").push(body);
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Text takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

async fn order_in_trace(buyer: &Person, trace_id: &str, product: &str) -> Answer {
    let traceparent = format!("00-{trace_id}-{CLIENT_SPAN}-01");
    let key = random_key();
    let headers = [
        ("idempotency-key", key.as_str()),
        ("traceparent", traceparent.as_str()),
    ];
    buyer
        .send(Method::POST, "/v1/orders", &headers, Some(order(&[(product, 1)])))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_one_trace_from_the_edge_over_the_link_to_the_commit_and_its_event() {
    let collector = Collector::start().await;
    let site = Site::new()
        .with_variable(ENDPOINT, &collector.endpoint)
        .with_variable(RATIO, "1.0")
        .with_variable("HOLDFAST_LOG", "info,holdfast_http=debug");
    let up = Launched::start_at(site, &[]).await;
    let admin = up.admin().await;
    let product = admin.lists("mug", 10).await;
    let owner = up.owner_of_product(&admin.at(&up.nodes()[0].ops), &product).await;
    let mut others = up.nodes();
    others.retain(|node| node.name != owner.name);
    let edge = &others[0];
    let buyer = up.stranger(0).sign_up("buyer").await.at(&edge.api);
    let trace_id = random_key();
    let order = order_in_trace(&buyer, &trace_id, &product).await.expect(201);

    // Ended spans are exported each second, by each node on its own.
    let spans = eventually("the batch is exported, and all that led to it", || async {
        let spans = collector.trace(&trace_id);
        let has = |name: &str| spans.iter().any(|(_, span)| span.name == name);
        (has("POST /v1/orders") && has("batch")).then_some(spans)
    })
    .await;
    let by_id: BTreeMap<String, &Exported> = spans
        .iter()
        .map(|exported| (hex(&exported.1.span_id), exported))
        .collect();
    let mut path = Vec::new();
    let mut at = spans.iter().find(|(_, span)| span.name == "batch");
    let mut parent = String::new();
    while let Some((node, span)) = at {
        path.push((node.as_str(), span.name.as_str(), span.kind()));
        parent = hex(&span.parent_span_id);
        at = by_id.get(&parent).copied();
    }
    let (owner, edge) = (owner.name.as_str(), edge.name.as_str());
    assert_eq!(
        path,
        [
            (owner, "batch", SpanKind::Internal),
            (owner, "commit", SpanKind::Internal),
            (owner, "serve", SpanKind::Server),
            (edge, "call", SpanKind::Client),
            (edge, "POST /v1/orders", SpanKind::Server),
        ]
    );
    assert_eq!(parent, CLIENT_SPAN, "the edge's span is not the client's child");

    let id = order["id"].as_str().expect("an id");
    let events = buyer
        .get_now(&format!("/v1/orders/{id}/events"))
        .await
        .expect(200);
    assert_eq!(events["data"][0]["type"], "order.placed");
    assert_eq!(events["data"][0]["trace_id"], trace_id.as_str());

    let log = fs::read_to_string(up.site().path(&format!("data/logs/{edge}.log"))).expect("a log");
    let answered = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .find(|line| line["span"]["trace_id"] == trace_id.as_str());
    assert_eq!(answered.expect("a line of that trace")["message"], "answered");

    let token = buyer.token.as_deref().expect("signed in");
    for secret in [token, "a long enough secret", buyer.email.as_str()] {
        assert!(!collector.has_seen(secret) && !log.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_does_not_answer_costs_spans_and_nothing_else() {
    // It takes connections, and never reads.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("bound"));
    let site = Site::new()
        .with_variable(ENDPOINT, &endpoint)
        .with_variable(RATIO, "1.0");
    let mut up = Launched::start_at(site, &["--nodes", "2"]).await;
    let mug = up.admin().await.lists("mug", 200).await;
    let buyer = up.stranger(1).sign_up("buyer").await;
    for _ in 0..100 {
        let trace_id = random_key();
        let order = order_in_trace(&buyer, &trace_id, &mug).await.expect(201);
        let path = format!("/v1/orders/{}/events", order["id"].as_str().expect("an id"));
        let events = buyer.get_now(&path).await.expect(200);
        assert_eq!(events["data"][0]["trace_id"], trace_id.as_str());
    }
    let audit = up.audit();
    assert!(audit.status.success(), "{audit:?}");
    let stopped = up.stop(Signal::SIGTERM);
    assert_eq!(stopped.status.code(), Some(0), "{}", up.remarked());
    assert!(stopped.took < STOPS_WITHIN, "{stopped:?}");
}
