//! Answers: whole ones, and those that break off.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use hyper::body::Frame;

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    content_type: Option<&'static str>,
    pub(crate) body: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    pub(crate) fn empty(status: u16) -> Answer {
        Answer { status, content_type: None, body: "".into(), headers: Vec::new() }
    }

    pub(crate) fn text(status: u16, body: impl Into<Cow<'static, str>>) -> Answer {
        Answer {
            content_type: Some("text/plain; charset=utf-8"),
            body: body.into(),
            ..Answer::empty(status)
        }
    }

    pub(crate) fn json(status: u16, body: impl Into<Cow<'static, str>>) -> Answer {
        Answer {
            content_type: Some("application/json; charset=utf-8"),
            body: body.into(),
            ..Answer::empty(status)
        }
    }

    pub(crate) fn script(body: String) -> Answer {
        Answer {
            content_type: Some("text/javascript; charset=utf-8"),
            body: body.into(),
            ..Answer::empty(200)
        }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Answer {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// May be read by pages of any origin.
    pub(crate) fn for_pages(self) -> Answer {
        self.with(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
            .with(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin")
    }

    /// The answer to a browser's question whether a page may post.
    pub(crate) fn preflight() -> Answer {
        Answer::empty(204)
            .for_pages()
            .with(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS")
            .with(header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type")
            .with(HeaderName::from_static("access-control-allow-private-network"), "true")
    }

    pub(crate) fn into_response(self) -> Response {
        let (head, body) = self.split();
        head.map(|()| Body::from(body))
    }

    /// The head in full and the first half of the body; then the connection breaks. An empty body
    /// counts as `{}`, since half of nothing would be an answer in full.
    pub(crate) fn into_half(mut self) -> Response {
        if self.body.is_empty() {
            self.body = "{}".into();
            self.status = if self.status == 204 { 200 } else { self.status };
        }
        let (mut head, body) = self.split();
        head.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        let half = body.slice(..body.len() / 2);
        head.map(|()| Body::new(Breaking::After(half)))
    }

    /// No answer at all: the connection closes before the status line is written. (Hyper writes
    /// the head out only once it has asked the body for its first piece, which fails.)
    pub(crate) fn none() -> Response {
        Response::new(Body::new(Breaking::Now))
    }

    fn split(self) -> (Response<()>, Bytes) {
        let mut head = Response::new(());
        *head.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(content_type) = self.content_type {
            let value = HeaderValue::from_static(content_type);
            head.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        head.headers_mut()
            .extend(self.headers.into_iter().map(|(name, value)| (Some(name), value)));
        let body = match self.body {
            Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        };
        (head, body)
    }
}

/// A body that fails, so that the server drops the connection.
#[derive(Debug)]
enum Breaking {
    After(Bytes),
    /// Once the server has had a chance to write out what it holds.
    Soon,
    Now,
}

#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the sandbox breaks the connection, as it was told to")
    }
}

impl std::error::Error for Broken {}

impl hyper::body::Body for Breaking {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match std::mem::replace(&mut *self, Breaking::Now) {
            Breaking::After(half) => {
                *self = Breaking::Soon;
                Poll::Ready(Some(Ok(Frame::data(half))))
            }
            Breaking::Soon => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Breaking::Now => Poll::Ready(Some(Err(Broken))),
        }
    }
}
