//! `GET /metrics`: counts, in the text format of Prometheus.

use crate::http::operation::{Answer, Call, Operation};
use crate::http::shape::Shape;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, header};

const TEXT_FORMAT: &str = "text/plain";

pub(super) fn operation() -> Operation {
    Operation::new(Method::GET, "/metrics", "getMetrics", |call| Box::pin(run(call)))
        .about("node", "Counts of the node", "In the text format of Prometheus.")
        .answers_media(200, "The counts", TEXT_FORMAT, Shape::Json)
}

async fn run(call: Call) -> Answer {
    let mut response = Response::new(Body::from((call.door.metrics)()));
    let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    Ok(response)
}
