//! An HTTP client of a few lines, which sends what no polite one would.

use super::PATIENCE;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    /// A refusal's sentence, once its shape is right.
    pub fn sentence(&self) -> String {
        let body = self.json();
        let (detail, error) = (&body["detail"], &body["error"]);
        assert!(
            error["code"].is_i64() && error["data"]["code"].is_string(),
            "{body}"
        );
        assert_eq!(detail, &error["message"], "{body}");
        assert!(
            self.head.contains("content-type: application/json"),
            "{self:?}"
        );
        detail.as_str().unwrap().to_owned()
    }
}

/// Sends bytes as they are, and reads the answer to its end; none when there was none.
pub fn raw(address: &str, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).ok()?;
    let mut answer = Vec::new();
    // A reset after the answer is an end too.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_lowercase(),
        body: body.to_owned(),
    })
}

/// One request with headers of its own (each with its line end).
pub fn with(address: &str, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let host = match headers.to_lowercase().contains("host:") {
        true => String::new(),
        false => format!("Host: {address}\r\n"),
    };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let answer = raw(address, request.as_bytes());
    answer.unwrap_or_else(|| panic!("no answer to {method} {path}"))
}

pub fn get(address: &str, path: &str) -> Answer {
    with(address, "GET", path, "", "")
}

pub fn post(address: &str, path: &str, body: &str) -> Answer {
    with(address, "POST", path, "", body)
}
