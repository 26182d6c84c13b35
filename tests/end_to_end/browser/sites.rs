//! Web servers of a few lines: the site with the page, and one that answers every site.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const PAGE: &str = include_str!("page.html");

/// Text that the open site lets every page read.
pub const OPEN_TEXT: &str = "1 // text that every page may read";

/// A server whose requests go to a function, which returns the head after the status and the body.
fn serve(answer: impl Fn(&str) -> (String, String) + Send + Sync + 'static) -> u16 {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in server.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                let Some(request) = read(&mut stream) else {
                    return;
                };
                let (head, body) = answer(&request);
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 200 OK\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(text.as_bytes());
            });
        }
    });
    port
}

/// A request with its body. `None` if the connection ends before.
fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head
                .lines()
                .find_map(|it| it.strip_prefix("content-length:"));
            let length = length.map_or(0, |it| it.trim().parse().unwrap_or(0));
            if body.len() >= length {
                return Some(text);
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
        }
    }
}

/// The site with the page that attacks these ports.
pub struct EvilSite {
    pub port: u16,
    report: Arc<Mutex<Option<String>>>,
}

impl EvilSite {
    /// `ports`: a JSON object of names and ports.
    pub fn start(ports: String) -> EvilSite {
        let report = Arc::new(Mutex::new(None));
        let reported = report.clone();
        let port = serve(move |request| {
            if request.starts_with("POST /report") {
                let body = request
                    .split_once("\r\n\r\n")
                    .map(|(_, body)| body.to_owned());
                *reported.lock().unwrap() = body;
            }
            let page = PAGE.replacen("PORTS", &ports, 1);
            ("Content-Type: text/html\r\n".to_owned(), page)
        });
        EvilSite { port, report }
    }

    /// The report of the page, once it has made all its attempts.
    pub fn report(&self) -> Option<String> {
        self.report.lock().unwrap().clone()
    }
}

/// A site that checks nothing and lets every page read its answers.
pub struct OpenSite {
    pub port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl OpenSite {
    pub fn start() -> OpenSite {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let received = requests.clone();
        let port = serve(move |request| {
            received.lock().unwrap().push(request.to_owned());
            let head = "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: *\r\n\
                        Access-Control-Allow-Methods: *\r\nContent-Type: text/javascript\r\n";
            (head.to_owned(), OPEN_TEXT.to_owned())
        });
        OpenSite { port, requests }
    }

    /// The requests that it has received.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}
