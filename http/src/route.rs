//! The route table: which path and method is served by which filter.
//!
//! A request walks a tree of path segments to the one route that can serve it, however many there
//! are; only that route's warp filter runs. 404, 405 and `Allow` follow from the same tree, so they
//! cannot disagree with what is served.

use std::sync::Arc;

use holdfast_actors::budget::Class;
use warp::{
    Filter, Rejection,
    filters::BoxedFilter,
    http::{HeaderValue, Method},
};

use crate::{
    limit::class_of,
    problem::{Problem, from_rejection},
    reply::{Reply, Response},
};

/// What a handler answers.
pub(crate) type Answer = Result<Reply, Problem>;

/// Names a route's path once: as the template of the table, and as the filter that parses it.
macro_rules! path_of {
    ($first:tt $(/ $rest:tt)*) => {
        (
            concat!("/", $crate::route::segment!($first) $(, "/", $crate::route::segment!($rest))*),
            warp::path!($first $(/ $rest)*),
        )
    };
}

macro_rules! segment {
    ($literal:literal) => {
        $literal
    };
    (ProblemName) => {
        "{type}"
    };
    (NodeName) => {
        "{name}"
    };
    (FileName) => {
        "{file}"
    };
    (ProviderName) => {
        "{provider}"
    };
    ($id:ident) => {
        "{id}"
    };
}

pub(crate) use {path_of, segment};

/// A row of the table: one method of one path, and the filter that serves it.
#[derive(Clone)]
pub(crate) struct Route {
    method: Method,
    template: &'static str,
    name: Arc<str>,
    class: Option<Class>,
    is_vital: bool,
    filter: BoxedFilter<(Response,)>,
}

impl Route {
    /// Makes a row; `filter` has parsed the path and ends in the handler's answer.
    pub(crate) fn new<F>(method: Method, template: &'static str, filter: F) -> Self
    where
        F: Filter<Extract = (Answer,), Error = Rejection> + Clone + Send + Sync + 'static,
    {
        let filter = filter
            .map(|answer: Answer| answer.map_or_else(Problem::into_response, Reply::into_response))
            .recover(|rejection: Rejection| {
                std::future::ready(Ok::<_, std::convert::Infallible>(
                    from_rejection(&rejection).into_response(),
                ))
            })
            .unify()
            .boxed();
        let name = format!("{method} {template}").into();
        Self {
            class: class_of(method.as_str(), template),
            method,
            template,
            name,
            is_vital: false,
            filter,
        }
    }

    /// Lets the route answer even when the edge has too much to do.
    pub(crate) fn vital(self) -> Self {
        Self {
            is_vital: true,
            ..self
        }
    }

    /// Tells whether the route answers even when the edge has too much to do.
    pub(crate) fn is_vital(&self) -> bool {
        self.is_vital
    }

    /// Returns the method.
    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path's template, such as `/v1/orders/{id}`.
    pub(crate) fn template(&self) -> &'static str {
        self.template
    }

    /// Returns method and template, such as `GET /v1/orders/{id}`.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns the class by which requests are limited; none if they are not.
    pub(crate) fn class(&self) -> Option<Class> {
        self.class
    }

    /// Returns the filter that serves the route.
    pub(crate) fn filter(&self) -> BoxedFilter<(Response,)> {
        self.filter.clone()
    }
}

/// What the table has for a request.
pub(crate) enum Found<'a> {
    /// The route that serves it.
    Route(&'a Route),
    /// The path is there, with these methods only.
    OtherMethods(&'a HeaderValue),
    /// The path is not there.
    Nothing,
}

/// All routes of a listener.
#[derive(Default)]
pub(crate) struct RouteTable {
    root: Node,
}

#[derive(Default)]
struct Node {
    literals: Vec<(&'static str, Node)>,
    parameter: Option<Box<Node>>,
    routes: Vec<Route>,
    allow: Option<HeaderValue>,
}

impl RouteTable {
    /// Makes the table of these routes.
    pub(crate) fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut table = Self::default();
        for route in routes {
            table.root.insert(route);
        }
        table
    }

    /// Finds what serves `method` at `path`; HEAD is served by GET.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let Some(node) = self.root.walk(path) else {
            return Found::Nothing;
        };
        let wanted = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        match (
            node.routes.iter().find(|route| route.method == *wanted),
            &node.allow,
        ) {
            (Some(route), _) => Found::Route(route),
            (None, Some(allow)) => Found::OtherMethods(allow),
            (None, None) => Found::Nothing,
        }
    }

    /// Lists method and template of every route.
    #[cfg(test)]
    pub(crate) fn rows(&self) -> std::collections::BTreeSet<(String, &'static str)> {
        let mut rows = std::collections::BTreeSet::new();
        self.root.visit(&mut |route| {
            rows.insert((route.method.to_string(), route.template));
        });
        rows
    }
}

impl Node {
    fn insert(&mut self, route: Route) {
        let mut node = self;
        for segment in route.template.split('/').skip(1) {
            node = if segment.starts_with('{') {
                node.parameter.get_or_insert_default()
            } else {
                let at = node
                    .literals
                    .iter()
                    .position(|(name, _)| *name == segment)
                    .unwrap_or_else(|| {
                        node.literals.push((segment, Self::default()));
                        node.literals.len() - 1
                    });
                &mut node.literals[at].1
            };
        }
        node.routes.push(route);
        let mut methods: Vec<&str> = node.routes.iter().map(|route| route.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.sort_unstable();
        // Names of methods are a header value.
        node.allow = HeaderValue::try_from(methods.join(", ")).ok();
    }

    fn walk(&self, path: &str) -> Option<&Self> {
        let mut node = self;
        for segment in path.strip_prefix('/')?.split('/') {
            let literal = node.literals.iter().find(|(name, _)| *name == segment);
            node = match (literal, &node.parameter) {
                (Some((_, child)), _) => child,
                (None, Some(child)) if !segment.is_empty() => child,
                _ => return None,
            };
        }
        Some(node)
    }

    #[cfg(test)]
    fn visit(&self, seen: &mut impl FnMut(&Route)) {
        self.routes.iter().for_each(&mut *seen);
        let children = self
            .literals
            .iter()
            .map(|(_, child)| child)
            .chain(self.parameter.as_deref());
        for child in children {
            child.visit(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> RouteTable {
        let route = |method, template| {
            Route::new(
                method,
                template,
                crate::request::context().map(|_| Ok(Reply::no_content())),
            )
        };
        RouteTable::new([
            route(Method::GET, "/v1/things"),
            route(Method::POST, "/v1/things"),
            route(Method::GET, "/v1/things/{id}"),
            route(Method::DELETE, "/v1/things/{id}/parts/{id}"),
        ])
    }

    fn found(method: &Method, path: &str) -> String {
        match table().find(method, path) {
            Found::Route(route) => route.name().to_string(),
            Found::OtherMethods(allow) => format!("allow {}", allow.to_str().expect("text")),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_path_leads_to_its_route() {
        assert_eq!(found(&Method::POST, "/v1/things"), "POST /v1/things");
        assert_eq!(found(&Method::GET, "/v1/things/7"), "GET /v1/things/{id}");
        assert_eq!(
            found(&Method::DELETE, "/v1/things/7/parts/8"),
            "DELETE /v1/things/{id}/parts/{id}"
        );
    }

    #[test]
    fn head_is_served_by_get() {
        assert_eq!(found(&Method::HEAD, "/v1/things"), "GET /v1/things");
        assert_eq!(found(&Method::HEAD, "/v1/things/7/parts/8"), "allow DELETE");
    }

    #[test]
    fn another_method_is_told_which_ones_there_are() {
        assert_eq!(found(&Method::PUT, "/v1/things"), "allow GET, HEAD, POST");
        assert_eq!(found(&Method::OPTIONS, "/v1/things/7"), "allow GET, HEAD");
    }

    #[test]
    fn what_is_not_in_the_table_is_nothing() {
        for path in [
            "",
            "/",
            "/v1",
            "/v1/",
            "/v1/things/",
            "//v1/things",
            "/v1/things/7/parts",
            "*",
        ] {
            assert_eq!(found(&Method::GET, path), "nothing", "{path:?}");
        }
    }
}
