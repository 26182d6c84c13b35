//! The page `/metrics`: the metrics of the hub, the gateway and the process.

use super::series::plain;
use super::{process, text};
use crate::http::{HttpApp, HttpCounts, guard};
use crate::link::HubLink;
use actix_service::{IntoServiceFactory, ServiceFactoryExt};
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{App, Error, HttpRequest, HttpResponse, web};
use kirosu_protocol::{Metric, MetricsParams};
use kirosu_supervision::ChildContext;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Timeout of the hub's answer: half of Prometheus' timeout of a scrape.
const HUB_TIMEOUT: Duration = Duration::from_secs(5);

/// The sources of the metrics.
pub(super) struct Sources {
    pub(super) hub: HubLink,
    pub(super) http: Option<Arc<HttpCounts>>,
    pub(super) child: ChildContext,
    /// Whether the socket is on loopback, where only programs of this machine may scrape. A web page whose name resolves to
    /// loopback must not read the names of queues and pools.
    pub(super) is_local: bool,
}

/// The factory of the application.
pub(super) fn factory(sources: Sources) -> impl HttpApp {
    App::new()
        .app_data(web::Data::new(sources))
        .route("/metrics", web::get().to(scrape))
        .default_service(web::to(elsewhere))
        .into_factory()
        .map_err(|error: Error| error.error_response())
}

async fn elsewhere() -> HttpResponse {
    HttpResponse::NotFound()
        .content_type("text/plain; charset=utf-8")
        .body("only GET /metrics is served here\n")
}

async fn scrape(request: HttpRequest, sources: web::Data<Sources>) -> HttpResponse {
    sources.child.handled();
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap_or("\u{fffd}"))
    };
    let foreign = guard::foreign(header("host"), header("origin"), header("sec-fetch-site"));
    if sources.is_local && foreign.is_some() {
        return HttpResponse::Forbidden()
            .content_type("text/plain; charset=utf-8")
            .body("metrics on loopback are for programs of this machine: use localhost, or set metrics.host\n");
    }
    HttpResponse::Ok()
        .content_type(text::CONTENT_TYPE)
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text::page(&figures(&sources).await))
}

async fn figures(sources: &Sources) -> Vec<Metric> {
    let began = Instant::now();
    let asked = sources.hub.request(MetricsParams {});
    let answer = match tokio::time::timeout(HUB_TIMEOUT, asked).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the scrape has no metrics of the hub");
            None
        }
        Err(_) => {
            tracing::warn!("the hub has not returned its metrics within {HUB_TIMEOUT:?}");
            None
        }
    };
    let mut all = vec![
        plain(
            "kirosu_up",
            "1 if the hub answered this scrape; 0 if not, and its metrics are missing.",
            f64::from(u8::from(answer.is_some())),
        ),
        plain(
            "kirosu_scrape_seconds",
            "Response time of the hub for this scrape.",
            began.elapsed().as_secs_f64(),
        ),
    ];
    if answer.is_some()
        && let Ok(hello) = sources.hub.connected().await
    {
        let mut version = plain("kirosu_build_info", "1, with the hub's version.", 1.0);
        version
            .labels
            .insert("version".into(), hello.version.clone());
        all.push(version);
    }
    all.extend(answer.into_iter().flat_map(|answer| answer.metrics));
    all.extend(sources.http.iter().flat_map(|counts| http(counts)));
    all.extend(process::figures());
    all
}

fn http(counts: &HttpCounts) -> Vec<Metric> {
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
    let errors = |class: &str, value| Metric {
        labels: [("class".to_owned(), class.to_owned())].into(),
        ..plain(
            "kirosu_http_errors_total",
            "HTTP responses with an error status, by class.",
            value,
        )
    };
    vec![
        plain(
            "kirosu_http_requests_total",
            "HTTP responses.",
            of(&counts.requests),
        ),
        errors("4xx", of(&counts.refused)),
        errors("5xx", of(&counts.failed)),
        plain(
            "kirosu_http_panics_total",
            "HTTP requests whose handler panicked.",
            of(&counts.panics),
        ),
        plain(
            "kirosu_http_turned_away_total",
            "HTTP connections refused because of the limit.",
            of(&counts.turned_away),
        ),
        plain(
            "kirosu_http_connections",
            "Open HTTP connections.",
            counts.connections() as f64,
        ),
    ]
}
