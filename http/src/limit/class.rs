//! Which class of calls a route belongs to.

use holdfast_actors::budget::Class;

/// Returns the class of a route, by its method and template; none if it is not limited: probes,
/// documents, public keys, and what only the operators' listener serves.
pub(crate) fn class_of(method: &str, template: &str) -> Option<Class> {
    let call = template.strip_prefix("/v1/")?;
    match (method, call) {
        ("GET", "cluster") | ("POST", "cluster/nodes/{name}/drain") => None,
        ("GET", _) => Some(Class::Reads),
        ("POST", "auth/register") => Some(Class::Register),
        ("POST", "auth/logout" | "auth/logout-all") => Some(Class::Writes),
        // Whatever shows a secret is a way to guess it.
        ("POST", "me/password") => Some(Class::Login),
        ("POST", _) if call.starts_with("auth/") => Some(Class::Login),
        ("POST", "orders" | "orders/{id}/payments") => Some(Class::Orders),
        ("POST", _) if call.starts_with("payment-webhooks/") => Some(Class::Webhooks),
        _ => Some(Class::Writes),
    }
}
