//! The kinds of problem: one row each, from which type, status, title and page follow.

use warp::http::StatusCode;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $slug:literal, $title:literal;)*) => {
        /// What went wrong, as clients tell problems apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum ProblemKind {
            $($(#[$doc])* $name,)*
        }

        impl ProblemKind {
            /// Lists every kind.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the status that goes with the kind.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// Returns the kind's name: the last part of its type.
            pub(crate) const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// Returns the path that is the kind's type and answers with its page.
            pub(crate) const fn type_path(self) -> &'static str {
                match self { $(Self::$name => concat!("/problems/", $slug),)* }
            }

            /// Returns what the kind is called, the same for every occurrence.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// Returns the page that explains the kind, in Markdown.
            pub(crate) const fn page(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!(
                        env!("CARGO_MANIFEST_DIR"), "/../docs/problems/", $slug, ".md"
                    )),)*
                }
            }
        }
    };
}

kinds! {
    /// The request's syntax, a header or its JSON cannot be read.
    MalformedRequest = BAD_REQUEST, "malformed-request", "The request cannot be read";
    /// A list's cursor was not made by this list.
    InvalidCursor = BAD_REQUEST, "invalid-cursor", "The cursor is not valid";
    /// The call moves goods or money and must name itself.
    IdempotencyKeyRequired = BAD_REQUEST, "idempotency-key-required", "An idempotency key is required";
    /// No access token, or not one that is accepted.
    Unauthenticated = UNAUTHORIZED, "unauthenticated", "A valid access token is required";
    /// A body is not signed by whom it claims to be from.
    InvalidSignature = UNAUTHORIZED, "invalid-signature", "The signature is not valid";
    /// The token was good, but its session is over.
    SessionEnded = UNAUTHORIZED, "session-ended", "The session has ended";
    /// A wrong address or password.
    InvalidCredentials = UNAUTHORIZED, "invalid-credentials", "Wrong e-mail address or password";
    /// A refresh token that is unknown, expired or used.
    InvalidRefreshToken = UNAUTHORIZED, "invalid-refresh-token", "The refresh token is not valid";
    /// The payment provider declined.
    PaymentDeclined = PAYMENT_REQUIRED, "payment-declined", "The payment was declined";
    /// The caller's role may not use the call at all.
    Forbidden = FORBIDDEN, "forbidden", "This role may not do that";
    /// There is no such thing for this caller.
    NotFound = NOT_FOUND, "not-found", "There is no such thing";
    /// The path exists, but not with this method.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not answer to this method";
    /// The body did not arrive in time.
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", "The request took too long to arrive";
    /// The e-mail address has an account.
    EmailTaken = CONFLICT, "email-taken", "The e-mail address has an account";
    /// The seller has another product with this SKU.
    SkuTaken = CONFLICT, "sku-taken", "The SKU is taken";
    /// Fewer units than wanted.
    InsufficientStock = CONFLICT, "insufficient-stock", "There are fewer units than wanted";
    /// The total is not the expected one.
    PriceChanged = CONFLICT, "price-changed", "The price has changed";
    /// The order's state does not allow the move.
    InvalidTransition = CONFLICT, "invalid-transition", "The order's state does not allow that";
    /// The same operation is still running.
    RequestInProgress = CONFLICT, "request-in-progress", "The same request is still running";
    /// The edit was based on an old version.
    VersionMismatch = PRECONDITION_FAILED, "version-mismatch", "The resource has changed";
    /// The body is larger than what is read.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large";
    /// The body is of a type that the call does not read.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The content type is not supported";
    /// Fields break rules.
    Validation = UNPROCESSABLE_ENTITY, "validation", "The request is not acceptable";
    /// The idempotency key belongs to another request.
    IdempotencyKeyReuse = UNPROCESSABLE_ENTITY, "idempotency-key-reuse", "The idempotency key was used before";
    /// An edit without `If-Match`.
    PreconditionRequired = PRECONDITION_REQUIRED, "precondition-required", "If-Match is required";
    /// Too many failed logins.
    AccountLocked = TOO_MANY_REQUESTS, "account-locked", "Too many failed logins";
    /// More requests than the client's budget allows.
    RateLimited = TOO_MANY_REQUESTS, "rate-limited", "Too many requests";
    /// A fault of the shop's own.
    Internal = INTERNAL_SERVER_ERROR, "internal", "Something went wrong";
    /// The shop cannot answer right now.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "The shop cannot answer right now";
}

impl ProblemKind {
    /// Finds a kind by its slug.
    pub(crate) fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.slug() == slug)
    }
}
