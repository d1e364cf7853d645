//! Adds to every operation what follows from its shape.

use serde_json::{Map, Value, json};

use crate::{limit::class_of, problem::ProblemKind};

/// Completes a document in place.
pub(super) fn complete(document: &mut Value) {
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for (path, item) in paths {
        let Some(item) = item.as_object_mut() else {
            continue;
        };
        for (method, operation) in item {
            if let Some(operation) = operation.as_object_mut() {
                Shape::of(path, method, operation).complete(operation);
            }
        }
    }
}

/// What an operation's own annotations tell about it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are facts about an operation, not a state"
)]
struct Shape {
    is_call: bool,
    is_limited: bool,
    is_get: bool,
    has_id: bool,
    has_body: bool,
    has_query: bool,
    needs_token: bool,
    takes_token: bool,
    needs_role: bool,
    headers: Vec<String>,
}

impl Shape {
    fn of(path: &str, method: &str, operation: &Map<String, Value>) -> Self {
        let parameters = || {
            operation
                .get("parameters")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        let named = |place: &str| -> Vec<String> {
            let here = parameters().filter(|parameter| parameter["in"] == place);
            here.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
                .collect()
        };
        let security = operation.get("security").and_then(Value::as_array);
        let roles = security
            .into_iter()
            .flatten()
            .filter_map(|scheme| scheme["bearer"].as_array());
        Self {
            is_call: path.starts_with("/v1/"),
            is_limited: class_of(&method.to_uppercase(), path).is_some(),
            is_get: method == "get",
            has_id: path.contains("{id}"),
            has_body: operation.contains_key("requestBody"),
            has_query: !named("query").is_empty(),
            needs_token: security
                .is_some_and(|schemes| schemes.iter().all(|scheme| scheme.get("bearer").is_some())),
            takes_token: security.is_some_and(|schemes| !schemes.is_empty()),
            needs_role: roles.flatten().next().is_some(),
            headers: named("header"),
        }
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|header| header == name)
    }

    fn complete(&self, operation: &mut Map<String, Value>) {
        if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
            parameters.iter_mut().for_each(describe_parameter);
        }
        let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
            return;
        };
        for (kind, when) in self.problems() {
            add_problem(responses, kind, when);
        }
        if self.has_header("If-None-Match") {
            let unchanged =
                json!({"description": "The client has this version.", "headers": {"ETag": text_header("")}});
            responses.entry("304").or_insert(unchanged);
        }
        for (status, response) in responses {
            self.complete_response(status, response);
        }
    }

    /// Lists the problems that every operation of this shape can meet.
    fn problems(&self) -> Vec<(ProblemKind, &'static str)> {
        use ProblemKind as Kind;
        let mut problems = Vec::new();
        let mut add = |applies: bool, kind, when| {
            if applies {
                problems.push((kind, when));
            }
        };
        let takes_key = self.has_header("Idempotency-Key");
        let is_edit = self.has_header("If-Match");
        add(
            self.has_body || self.has_query || !self.headers.is_empty(),
            Kind::MalformedRequest,
            "the body, the query or a header cannot be read",
        );
        add(
            self.has_query && self.is_call,
            Kind::InvalidCursor,
            "this list made no such cursor",
        );
        add(
            takes_key,
            Kind::IdempotencyKeyRequired,
            "orders and payments must be named",
        );
        add(
            self.needs_token,
            Kind::Unauthenticated,
            "no access token was sent",
        );
        add(
            self.takes_token,
            Kind::Unauthenticated,
            "the access token is not accepted",
        );
        add(
            self.takes_token,
            Kind::SessionEnded,
            "the token's session has ended",
        );
        add(
            self.needs_role,
            Kind::Forbidden,
            "the account's role may not use this call",
        );
        add(
            self.has_id,
            Kind::NotFound,
            "there is no such thing that the caller may see",
        );
        add(
            self.has_body,
            Kind::RequestTimeout,
            "the body did not arrive in time",
        );
        add(self.has_body, Kind::BodyTooLarge, "the body is too large");
        add(self.has_body, Kind::UnsupportedMediaType, "the body is not JSON");
        add(
            self.has_body || (self.has_query && self.is_call),
            Kind::Validation,
            "fields or parameters break rules; `errors` names them",
        );
        add(
            takes_key,
            Kind::IdempotencyKeyReuse,
            "the key belongs to another request",
        );
        add(
            takes_key,
            Kind::RequestInProgress,
            "a request with this key has not finished",
        );
        add(
            is_edit,
            Kind::VersionMismatch,
            "the resource has changed; `current_version` is the one that stands",
        );
        add(is_edit, Kind::PreconditionRequired, "`If-Match` is missing");
        add(
            self.is_limited,
            Kind::RateLimited,
            "the address or the caller has asked too often",
        );
        add(self.is_call, Kind::Internal, "a fault of the shop's own");
        add(
            self.is_call,
            Kind::Unavailable,
            "overload, hand-over or an unreachable database; ask again",
        );
        problems
    }

    fn complete_response(&self, status: &str, response: &mut Value) {
        let is_failure = status.starts_with('4') || status.starts_with('5');
        let is_success = status.starts_with('2');
        let mut headers: Vec<(&str, Value)> = vec![("X-Request-Id", text_header("The request's id."))];
        if is_success && self.is_get && self.is_call || status == "304" {
            headers.push((
                "X-Staleness-Ms",
                number_header("For how long the body may have been out of date."),
            ));
        }
        if is_success && self.has_header("Idempotency-Key") {
            headers.push((
                "Idempotent-Replayed",
                text_header("`true`: an earlier request with the key did this."),
            ));
        }
        if self.is_limited && (is_success || matches!(status, "304" | "429")) {
            headers.push((
                "RateLimit-Policy",
                text_header("The budgets that the request counted against: `q` requests in `w` seconds."),
            ));
            headers.push((
                "RateLimit",
                text_header("What is left of each: `r` requests now, more after `t` seconds."),
            ));
        }
        match status {
            "401" => headers.push(("WWW-Authenticate", text_header("How to authenticate."))),
            "429" | "503" => headers.push((
                "Retry-After",
                number_header("Seconds until it makes sense to ask again."),
            )),
            _ => {}
        }
        for (name, header) in headers {
            entry(response, "headers").entry(name).or_insert(header);
        }
        if let Some(etag) = response["headers"].get_mut("ETag") {
            *etag = json!({
                "description": "The version between quotes, for `If-Match` and `If-None-Match`.",
                "schema": {"type": "string", "example": "\"7\""},
            });
        }
        if is_failure {
            let examples = examples(status, response["description"].as_str().unwrap_or_default());
            let content = entry(response, "content");
            content.clear();
            let media = json!({"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples});
            content.insert("application/problem+json".to_owned(), media);
        }
    }
}

/// Makes an example of every kind of problem that a response's description names.
fn examples(status: &str, description: &str) -> Map<String, Value> {
    let kinds = ProblemKind::ALL.iter().copied();
    let named = kinds.filter(|kind| kind.status().as_str() == status && description.contains(&quoted(*kind)));
    named
        .map(|kind| {
            (
                kind.slug().to_owned(),
                json!({"summary": kind.title(), "value": example(kind)}),
            )
        })
        .collect()
}

fn example(kind: ProblemKind) -> Value {
    let mut example = json!({
        "type": kind.type_path(),
        "title": kind.title(),
        "status": kind.status().as_u16(),
        "detail": "what happened here, for a person",
        "request_id": "0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d",
    });
    let (member, value) = match kind {
        ProblemKind::InsufficientStock => {
            let line =
                json!({"product_id": "0199c2a0-1111-7abc-9def-001122334455", "requested": 2, "available": 1});
            ("lines", json!([line]))
        }
        ProblemKind::InvalidTransition => {
            example["requested"] = "confirmed".into();
            ("from", "expired".into())
        }
        ProblemKind::PaymentDeclined => ("reason", "the test method asks to be declined".into()),
        ProblemKind::RateLimited => ("policy", "orders-caller".into()),
        ProblemKind::PriceChanged => ("actual_total", json!({"amount": 2199, "currency": "EUR"})),
        ProblemKind::Validation => (
            "errors",
            json!([{"field": "/lines/0/quantity", "message": "must be a whole number"}]),
        ),
        ProblemKind::VersionMismatch => ("current_version", 8.into()),
        _ => return example,
    };
    example[member] = value;
    example
}

/// Returns a kind's name as descriptions have it.
fn quoted(kind: ProblemKind) -> String {
    format!("`{}`", kind.slug())
}

/// Returns an object's member, which is made an object if it is absent.
fn entry<'a>(object: &'a mut Value, name: &str) -> &'a mut Map<String, Value> {
    let member = &mut object[name];
    if !member.is_object() {
        *member = Value::Object(Map::new());
    }
    match member {
        Value::Object(map) => map,
        _ => unreachable!("it was just made an object"),
    }
}

fn add_problem(responses: &mut Map<String, Value>, kind: ProblemKind, when: &str) {
    let response = responses
        .entry(kind.status().as_str())
        .or_insert_with(|| json!({"description": ""}));
    let said = response["description"].as_str().unwrap_or_default();
    let name = quoted(kind);
    // The operation may have said it in words of its own.
    if !said.contains(&name) {
        let text = format!("{said} {name}: {when}.");
        response["description"] = text.trim_start().into();
    }
}

fn text_header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "string"}})
}

fn number_header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "integer", "minimum": 0}})
}

/// Says once what a parameter means wherever it occurs.
fn describe_parameter(parameter: &mut Value) {
    let (description, schema) = match parameter["name"].as_str() {
        Some("If-Match") => (
            "The ETag of the version that the edit is based on.",
            json!({"type": "string", "pattern": "^\"[1-9][0-9]*\"$", "example": "\"7\""}),
        ),
        Some("If-None-Match") => (
            "ETags of versions that the client has; answered 304 if one of them stands.",
            json!({"type": "string", "example": "\"7\""}),
        ),
        Some("Idempotency-Key") => (
            "Names the request, so that it can be repeated: 8 to 255 printable ASCII characters, bare or quoted.",
            json!({"type": "string", "minLength": 8, "maxLength": 257, "example": "0199c2a1-7f4e-7c3a-8d2b-1f6e5a4b3c2d"}),
        ),
        Some("Cache-Control") => (
            "`no-cache` makes the read linearizable.",
            json!({"type": "string", "example": "no-cache"}),
        ),
        Some("X-Min-Version") => (
            "The lowest version that will do; the read waits for it.",
            json!({"type": "integer", "format": "int64", "minimum": 0}),
        ),
        Some("limit") => (
            "How many items, at most.",
            json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
        ),
        Some("cursor") => (
            "The `next_cursor` of the page before, with the same filters.",
            json!({"type": "string"}),
        ),
        _ => return,
    };
    parameter["description"] = description.into();
    parameter["schema"] = schema;
}
