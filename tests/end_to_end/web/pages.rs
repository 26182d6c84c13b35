//! The files of the page.

use super::kit::setup;
use crate::common::http::{get, with};
use crate::common::process::address;

#[test]
fn the_page_is_served_with_strict_headers_and_only_once_to_a_browser_that_has_it() {
    let hub = setup().start();
    let at = address(&hub);
    let page = get(&at, "/");
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.body.starts_with("<!doctype html>"), "{page:?}");
    for header in [
        "content-type: text/html; charset=utf-8",
        "cache-control: no-cache",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cross-origin-opener-policy: same-origin",
    ] {
        assert!(page.head.contains(header), "{header}: {page:?}");
    }
    let policy = page
        .head
        .lines()
        .find(|line| line.starts_with("content-security-policy: "));
    let policy = policy.unwrap();
    for rule in [
        "default-src 'none'",
        "script-src 'self';",
        "style-src 'self';",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");

    let tag = page
        .head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let known = format!("If-None-Match: \"x\", W/{tag}\r\n");
    let same = with(&at, "GET", "/page/index.html", &known, "");
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    assert!(same.head.contains(tag), "{same:?}");
    let head = with(&at, "HEAD", "/", "", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let length = format!("content-length: {}", page.body.len());
    assert!(head.head.contains(&length), "{head:?}");
}

#[test]
fn no_other_file_is_served_and_the_page_takes_no_other_method() {
    let hub = setup().start();
    let at = address(&hub);
    for path in [
        "/page/none.js",
        "/page/",
        "/page/../Cargo.toml",
        "/page/..%2fCargo.toml",
        "/page/%2e%2e/Cargo.toml",
        "/page/.hidden.js",
        "/page/a/index.html",
    ] {
        assert_eq!(get(&at, path).status, 404, "{path}");
    }
    assert_eq!(with(&at, "POST", "/", "", "").status, 405);
    assert_eq!(with(&at, "GET", "/session", "", "").status, 405);
    // A name of another host that leads to this machine's address.
    assert_eq!(
        with(&at, "GET", "/", "Host: evil.example\r\n", "").status,
        403
    );
    // A link of another site leads to the page.
    let linked = with(&at, "GET", "/", "Sec-Fetch-Site: cross-site\r\n", "");
    assert_eq!(linked.status, 200);
}
