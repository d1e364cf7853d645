use std::collections::BTreeSet;

use hyper::Request;
use serde_json::Map;

use super::*;
use crate::{
    route::RouteTable,
    shop::Mood,
    testing::{all_routes, edge},
};

mod calls;

const AN_ID: &str = "0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d";

/// An operation of the document.
struct Operation {
    method: String,
    path: String,
    details: Map<String, Value>,
}

impl Operation {
    fn has(&self, place: &str, name: &str) -> bool {
        let parameters = self.details.get("parameters").and_then(Value::as_array);
        parameters
            .into_iter()
            .flatten()
            .any(|parameter| parameter["in"] == place && parameter["name"] == name)
    }

    fn needs_token(&self) -> bool {
        let schemes = self.details.get("security").and_then(Value::as_array);
        schemes.is_some_and(|schemes| schemes.iter().all(|scheme| scheme.get("bearer").is_some()))
    }

    /// Whether a body is read by nobody before its signature is.
    fn is_signed(&self) -> bool {
        self.has("header", "Payment-Signature")
    }

    fn has_body(&self) -> bool {
        self.details.contains_key("requestBody")
    }

    /// Whether a request without a body does.
    fn body_may_be_absent(&self) -> bool {
        self.details["requestBody"]["required"] != true
    }

    fn statuses(&self) -> BTreeSet<u16> {
        let responses = self.details["responses"].as_object().expect("responses");
        responses
            .keys()
            .map(|status| status.parse().expect("a status"))
            .collect()
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Makes a request that has whatever headers the operation requires.
    fn request(&self, token: &str) -> hyper::http::request::Builder {
        let path = self
            .path
            .replace("{id}", AN_ID)
            .replace("{provider}", "test")
            .replace("{type}", "validation")
            .replace("{file}", "swagger-ui.css");
        let mut request = Request::builder().method(self.method.as_str()).uri(path);
        if self.details.contains_key("security") {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if self.has("header", "If-Match") {
            request = request.header("if-match", "\"1\"");
        }
        if self.has("header", "Idempotency-Key") {
            request = request.header("idempotency-key", "a-key-of-tests");
        }
        if self.has_body() {
            request = request.header("content-type", "application/json");
        }
        request
    }
}

fn operations() -> Vec<Operation> {
    let document = document().expect("a document");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                details: operation.as_object().expect("an operation").clone(),
            });
        }
    }
    operations
}

#[test]
fn routes_and_document_agree() {
    let table = RouteTable::new(all_routes(&edge(Mood::Down)));
    let served: BTreeSet<(String, String)> = table
        .rows()
        .into_iter()
        .map(|(method, path)| (method, path.to_owned()))
        .collect();
    let documented: BTreeSet<_> = operations()
        .into_iter()
        .map(|operation| (operation.method, operation.path))
        .collect();
    assert_eq!(served, documented);
}

#[test]
fn the_document_is_openapi_3_1_and_every_reference_leads_somewhere() {
    let document = document().expect("a document");
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members
                .values()
                .for_each(|member| collect_references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[test]
fn every_operation_is_named_tagged_and_described_to_its_last_status() {
    let mut names = BTreeSet::new();
    for operation in operations() {
        let name = operation.details["operationId"]
            .as_str()
            .expect("an id")
            .to_owned();
        assert!(names.insert(name.clone()), "{name} is used twice");
        assert!(
            operation.details["tags"].is_array() && operation.details["summary"].is_string(),
            "{name}"
        );
        for (status, response) in operation.details["responses"].as_object().expect("responses") {
            assert!(
                response["description"]
                    .as_str()
                    .is_some_and(|text| text.len() > 5),
                "{name} {status}"
            );
            assert!(response["headers"]["X-Request-Id"].is_object(), "{name} {status}");
            let is_limited = crate::limit::class_of(&operation.method, &operation.path).is_some();
            if is_limited && (status.starts_with('2') || status == "429") {
                assert!(response["headers"]["RateLimit"].is_object(), "{name} {status}");
                assert!(
                    response["headers"]["RateLimit-Policy"].is_object(),
                    "{name} {status}"
                );
            }
            if status.starts_with(['4', '5']) {
                let media = &response["content"]["application/problem+json"];
                let examples = media["examples"].as_object();
                assert!(
                    examples.is_some_and(|examples| !examples.is_empty()),
                    "{name} {status}"
                );
            }
        }
    }
}

#[test]
fn every_operation_documents_its_common_errors() {
    for operation in operations() {
        let statuses = operation.statuses();
        let wants = |applies: bool, expected: &[u16]| {
            for status in expected {
                assert!(
                    !applies || statuses.contains(status),
                    "{} lacks {status}",
                    operation.name()
                );
            }
        };
        wants(operation.path.starts_with("/v1/"), &[500, 503]);
        let is_limited = crate::limit::class_of(&operation.method, &operation.path).is_some();
        wants(is_limited, &[429]);
        wants(operation.needs_token(), &[401]);
        wants(operation.path.contains('{'), &[404]);
        wants(operation.has_body(), &[400, 408, 413, 415, 422]);
        wants(operation.has("header", "If-Match"), &[400, 412, 428]);
        wants(operation.has("header", "If-None-Match"), &[304]);
        wants(operation.has("header", "Idempotency-Key"), &[400, 409, 422]);
        wants(operation.has("query", "cursor"), &[400, 422]);
    }
}
