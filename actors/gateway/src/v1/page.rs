//! The link to the next page of an answer.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use kirosu_protocol::Method;
use serde_json::value::RawValue;

/// The parameter that takes `next` of an answer of this verb.
pub(super) fn cursor(verb: Method) -> Option<&'static str> {
    match verb {
        Method::List | Method::Runs => Some("before"),
        Method::Approvals | Method::Audit | Method::RunItems | Method::RunFile => Some("cursor"),
        Method::Agents => Some("after"),
        _ => None,
    }
}

/// The value of the header `Link` for a page that is not the last.
pub(super) fn next_link(request: &HttpRequest, verb: Method, answer: &str) -> Option<HeaderValue> {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        next: Option<&'a RawValue>,
    }
    let cursor = cursor(verb)?;
    let page: Page<'_> = serde_json::from_str(answer).ok()?;
    let next = page.next?.get();
    let next = serde_json::from_str::<String>(next).unwrap_or_else(|_| next.to_owned());
    link(request.path(), request.query_string(), cursor, &next)
}

fn link(path: &str, query: &str, cursor: &str, next: &str) -> Option<HeaderValue> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    let mut pairs: Vec<(String, String)> = pairs
        .into_iter()
        .filter(|(name, _)| name != cursor)
        .collect();
    pairs.push((cursor.to_owned(), next.to_owned()));
    let query = serde_urlencoded::to_string(&pairs).ok()?;
    HeaderValue::from_str(&format!("<{path}?{query}>; rel=\"next\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_keeps_the_query_and_has_the_new_cursor() {
        let next = |query| link("/v1/tasks", query, "before", "17").unwrap();
        assert_eq!(next(""), "</v1/tasks?before=17>; rel=\"next\"");
        assert_eq!(
            next("label=a%2Cb&before=30&limit=2"),
            "</v1/tasks?label=a%2Cb&limit=2&before=17>; rel=\"next\""
        );
    }
}
