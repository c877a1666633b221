//! An operation of the HTTP API: declared once, and from that routed, checked, and written into the OpenAPI document.

mod call;
mod document;
mod forms;
mod routes;

pub(crate) use call::{Answer, Call, json_answer, no_content, unsupported_media};
pub(crate) use document::openapi;
pub(crate) use forms::{AGENT, AGENT_NAME, DEFINITION, DIGEST, ETAG, TIME, TOPIC, TOPIC_PATTERN, UUID};
pub(crate) use routes::router;

use super::shape::Shape;
use axum::http::Method;
use openmesh_message::Scope;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone; no token is looked at.
    Open,
    /// Whoever holds a token with the scope.
    Scope(Scope),
    /// Anyone, an administrator, or whoever holds a token: policy decides.
    Anyone,
    /// The holder of the admin token, or of a token with the scope `admin`.
    Administrator,
}

/// What runs an operation.
pub(crate) type Run = fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One operation.
#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) about: &'static str,
    pub(crate) access: Access,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) answers: Vec<Answered>,
    /// Statuses of problems besides those that every operation has.
    pub(crate) problems: Vec<u16>,
    pub(crate) takes_key: bool,
    /// Whether the document leaves it out: a socket, which AsyncAPI describes.
    pub(crate) is_socket: bool,
    pub(crate) run: Run,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

/// One parameter.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) place: Place,
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) about: &'static str,
    pub(crate) is_required: bool,
    pub(crate) example: Option<&'static str>,
}

/// The body an operation takes: by media type its shape, and an example of it.
#[derive(Clone)]
pub(crate) struct Body {
    pub(crate) media: Vec<(&'static str, Shape, Value)>,
    /// Whether the operation reads the bytes by itself: shapes are then for the document.
    pub(crate) is_raw: bool,
}

/// How an operation can end well.
#[derive(Clone)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    pub(crate) media: Option<(&'static str, Shape)>,
}

impl Operation {
    /// An operation that takes nothing and that anyone may call.
    pub(crate) const fn new(method: Method, path: &'static str, id: &'static str, run: Run) -> Self {
        Self {
            method,
            path,
            id,
            tag: "",
            summary: "",
            about: "",
            access: Access::Open,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
            takes_key: false,
            is_socket: false,
            run,
        }
    }

    /// Its group and what it does, in a few words and in some more.
    pub(crate) const fn about(
        mut self,
        tag: &'static str,
        summary: &'static str,
        about: &'static str,
    ) -> Self {
        self.tag = tag;
        self.summary = summary;
        self.about = about;
        self
    }

    /// Who may call it.
    pub(crate) const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// A part of its path.
    pub(crate) fn in_path(self, name: &'static str, shape: Shape, about: &'static str) -> Self {
        self.parameter(Place::Path, name, shape, about)
    }

    /// A query parameter, which may be left out.
    pub(crate) fn in_query(self, name: &'static str, shape: Shape, about: &'static str) -> Self {
        self.parameter(Place::Query, name, shape, about)
    }

    /// A header, which may be left out.
    pub(crate) fn in_header(self, name: &'static str, shape: Shape, about: &'static str) -> Self {
        self.parameter(Place::Header, name, shape, about)
    }

    /// The latest parameter must be given.
    pub(crate) fn needed(mut self) -> Self {
        if let Some(parameter) = self.parameters.last_mut() {
            parameter.is_required = true;
        }
        self
    }

    /// An example of the latest parameter.
    pub(crate) fn example(mut self, example: &'static str) -> Self {
        if let Some(parameter) = self.parameters.last_mut() {
            parameter.example = Some(example);
        }
        self
    }

    /// The JSON it takes.
    pub(crate) fn takes(mut self, shape: Shape, example: Value) -> Self {
        self.body = Some(Body { media: vec![("application/json", shape, example)], is_raw: false });
        self
    }

    /// Bytes it takes, by media type.
    pub(crate) fn takes_raw(mut self, media: Vec<(&'static str, Shape, Value)>) -> Self {
        self.body = Some(Body { media, is_raw: true });
        self
    }

    /// JSON it can answer.
    pub(crate) fn answers(self, status: u16, about: &'static str, shape: Shape) -> Self {
        self.answers_media(status, about, "application/json", shape)
    }

    /// What it can answer, of another type.
    pub(crate) fn answers_media(
        mut self,
        status: u16,
        about: &'static str,
        media: &'static str,
        shape: Shape,
    ) -> Self {
        self.answers.push(Answered { status, about, media: Some((media, shape)) });
        self
    }

    /// An answer without a body.
    pub(crate) fn answers_nothing(mut self, status: u16, about: &'static str) -> Self {
        self.answers.push(Answered { status, about, media: None });
        self
    }

    /// Statuses of problems besides those that every operation has.
    pub(crate) fn problems(mut self, statuses: &[u16]) -> Self {
        self.problems.extend(statuses);
        self
    }

    /// Goes on as a WebSocket, so OpenAPI cannot describe it.
    pub(crate) const fn on_socket(mut self) -> Self {
        self.is_socket = true;
        self
    }

    /// Takes an `Idempotency-Key`.
    pub(crate) fn with_idempotency_key(mut self) -> Self {
        const ABOUT: &str = "The same key with the same request gets the same response for 24 hours, and nothing is done twice.";
        self.takes_key = true;
        let key = super::shape::formed(64, forms::VISIBLE);
        self.problems(&[409, 422]).in_header("Idempotency-Key", key, ABOUT)
    }

    fn parameter(mut self, place: Place, name: &'static str, shape: Shape, about: &'static str) -> Self {
        let is_required = place == Place::Path;
        self.parameters.push(Parameter { place, name, shape, about, is_required, example: None });
        self
    }
}
