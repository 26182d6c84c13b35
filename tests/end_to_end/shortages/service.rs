//! A model API that can be away: it answers every question with one word.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

const ANSWER: &str =
    r#"{"choices":[{"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]}"#;

/// The service, on a port that stays its own.
pub struct Service {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    serving: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Service {
    pub fn start() -> Service {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut service = Service {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            serving: None,
        };
        service.serve(listener);
        service
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// From now on connections are refused.
    pub fn close(&mut self) {
        if let Some((ends, thread)) = self.serving.take() {
            ends.store(true, Ordering::Relaxed);
            // Wakes the thread, which waits for a connection.
            drop(TcpStream::connect(self.address));
            thread.join().unwrap();
        }
    }

    pub fn open(&mut self) {
        self.serve(TcpListener::bind(self.address).expect("the port is still free"));
    }

    fn serve(&mut self, listener: TcpListener) {
        let ends = Arc::new(AtomicBool::new(false));
        let (over, asked) = (ends.clone(), self.asked.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                asked.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || answer(stream));
            }
        });
        self.serving = Some((ends, thread));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.close();
    }
}

fn answer(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    reader.get_mut().write_all(answer.as_bytes()).ok()
}
