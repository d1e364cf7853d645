//! Strict JSON: what is unknown, missing or of another type is refused by name.

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::wording;
use crate::problem::Problem;

/// Parses a body that must not be empty.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Err(Problem::malformed("the body is empty"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = pointer(error.path());
        problem(path, &error.into_inner())
    })?;
    json.end().map_err(|error| problem(String::new(), &error))?;
    Ok(value)
}

/// Parses a body whose absence says as much as `{}`.
pub(crate) fn parse_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        Ok(T::default())
    } else {
        parse(body)
    }
}

fn problem(path: String, error: &serde_json::Error) -> Problem {
    match error.classify() {
        Category::Data => Problem::validation(&[wording::field_error(path, &error.to_string())]),
        Category::Syntax | Category::Eof | Category::Io => Problem::malformed(format!(
            "the body is not JSON: look at line {}, column {}",
            error.line(),
            error.column()
        )),
    }
}

/// Writes a path as a JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.extend(["/", &index.to_string()]),
            Segment::Map { key } => pointer.extend(["/", &escape(key)]),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// Escapes a member's name for a JSON pointer.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::problem::ProblemKind;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, expecting = "an object")]
    struct Order {
        #[serde(default)]
        #[expect(dead_code, reason = "only its parsing is of interest")]
        note: Option<String>,
        #[expect(dead_code, reason = "only its parsing is of interest")]
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, expecting = "an object")]
    struct Line {
        #[expect(dead_code, reason = "only its parsing is of interest")]
        quantity: u32,
    }

    /// Parses a body that must be refused; returns the one field and message it is refused for.
    fn refused(body: &str) -> (String, String) {
        let problem = parse::<Order>(body.as_bytes()).expect_err("a refusal");
        assert_eq!(problem.kind(), ProblemKind::Validation, "{body}");
        problem.field_errors().next().expect("a field")
    }

    #[test]
    fn an_unknown_field_is_named() {
        let (field, message) = refused(r#"{"lines":[{"quantity":1,"prize":2}]}"#);
        assert_eq!(
            (field.as_str(), message.as_str()),
            ("/lines/0/prize", "is not a field of this request")
        );
    }

    #[test]
    fn a_missing_field_is_named() {
        assert_eq!(
            refused(r#"{"lines":[{"quantity":1},{}]}"#),
            ("/lines/1/quantity".into(), "is required".into())
        );
        assert_eq!(refused("{}"), ("/lines".into(), "is required".into()));
    }

    #[test]
    fn a_field_of_another_type_is_named_without_naming_ours() {
        for (body, field, message) in [
            (
                r#"{"lines":[{"quantity":"one"}]}"#,
                "/lines/0/quantity",
                "must be a whole number",
            ),
            (
                r#"{"lines":[{"quantity":1.5}]}"#,
                "/lines/0/quantity",
                "must be a whole number",
            ),
            (
                r#"{"lines":[{"quantity":-1}]}"#,
                "/lines/0/quantity",
                "is out of range",
            ),
            (r#"{"lines":{}}"#, "/lines", "must be an array"),
            (r#"{"lines":[3]}"#, "/lines/0", "must be an object"),
            (r#"{"note":7,"lines":[]}"#, "/note", "must be a string"),
            (r#"{"lines":[],"lines":[]}"#, "/lines", "is given twice"),
            ("[]", "", "must be an object"),
            ("null", "", "must be an object"),
        ] {
            assert_eq!(refused(body), (field.to_owned(), message.to_owned()), "{body}");
        }
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for body in ["", "{", "{]", "nonsense", "{\"lines\":[]} x", "\u{feff}{}"] {
            let problem = parse::<Order>(body.as_bytes()).expect_err("a refusal");
            assert_eq!(problem.kind(), ProblemKind::MalformedRequest, "{body:?}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(
            parse::<serde_json::Value>(deep.as_bytes())
                .expect_err("a refusal")
                .kind(),
            ProblemKind::MalformedRequest
        );
    }

    #[test]
    fn an_absent_body_may_be_an_empty_object() {
        assert!(parse_or_default::<serde_json::Map<_, _>>(b"").is_ok_and(|map| map.is_empty()));
        assert_eq!(
            json!({}),
            parse_or_default::<serde_json::Value>(b"{}").expect("JSON")
        );
    }
}
