//! `/v1/docs`: a page to try the API. Its files are served as they are, under a policy that lets it do no more than it does.

use actix_web::HttpResponse;
use actix_web::http::header;

/// Only own files, no inline script, and no text of a response as HTML.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The page.
pub(super) async fn page() -> HttpResponse {
    file("text/html; charset=utf-8", include_str!("index.html"))
}

/// Its script.
pub(super) async fn script() -> HttpResponse {
    file("text/javascript; charset=utf-8", include_str!("docs.js"))
}

/// Its style.
pub(super) async fn style() -> HttpResponse {
    file("text/css; charset=utf-8", include_str!("docs.css"))
}

fn file(content_type: &str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(("cross-origin-opener-policy", "same-origin"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(text)
}
