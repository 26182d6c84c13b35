//! One blocking connection to a hub: raw lines for measurements, whole calls for everything else.

use crate::Fault;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest wait for an answer; a hub that needs longer is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq)]
pub enum CallError {
    /// The hub refused: its stable number and its sentence.
    Refused(i64, String),
    /// The connection broke before the answer: the call may have taken effect or not.
    Broken(String),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CallError::Refused(code, message) => write!(f, "refused ({code}): {message}"),
            CallError::Broken(reason) => write!(f, "connection broken: {reason}"),
        }
    }
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Fault {
        Fault(error.to_string())
    }
}

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    next_id: u64,
    notices: Vec<Value>,
    /// The `boot_id` of the hub at the other end, once `hello` was answered.
    pub boot: Option<String>,
}

impl Wire {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Result<Wire, Fault> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
            start: 0,
            next_id: 0,
            notices: Vec::new(),
            boot: None,
        })
    }

    /// Sends bytes, all of them.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> std::io::Result<&[u8]> {
        let mut searched = self.start;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[searched..]) {
                let (from, to) = (self.start, searched + at);
                self.start = to + 1;
                return Ok(&self.buffer[from..to]);
            }
            searched = self.fill(self.buffer.len())?;
        }
    }

    /// Reads more; drops what was consumed. Returns where the search goes on.
    fn fill(&mut self, searched: usize) -> std::io::Result<usize> {
        self.buffer.drain(..self.start);
        let searched = searched - self.start;
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + 64 * 1024, 0);
        let got = self.stream.read(&mut self.buffer[length..]);
        self.buffer
            .truncate(length + got.as_ref().copied().unwrap_or(0));
        match got? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(searched),
        }
    }

    /// One request and its answer; nothing else may be in flight.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, CallError> {
        self.ask(method, &params)?;
        self.answer()
    }

    /// Says `hello`, with a session if it has a name, and remembers which start of the hub has answered.
    pub fn hello(&mut self, session: Option<&str>) -> Result<Value, CallError> {
        let answer = self.call("hello", json!({"protocol": 1, "session_id": session}))?;
        self.boot = answer["boot_id"].as_str().map(str::to_owned);
        Ok(answer)
    }

    /// Sends a request.
    pub fn ask(&mut self, method: &str, params: &Value) -> Result<(), CallError> {
        self.next_id += 1;
        let id = self.next_id;
        let mut request = json!({"id": id, "method": method, "params": params}).to_string();
        request.push('\n');
        self.send(request.as_bytes()).map_err(broken)
    }

    /// The notifications that came with answers, oldest first; each is returned once.
    pub fn notices(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.notices)
    }

    /// Sends two requests in one packet.
    pub fn ask_both(&mut self, requests: [(&str, &Value); 2]) -> Result<(), CallError> {
        let lines: String = requests
            .into_iter()
            .map(|(method, params)| {
                self.next_id += 1;
                let id = self.next_id;
                json!({"id": id, "method": method, "params": params}).to_string() + "\n"
            })
            .collect();
        self.send(lines.as_bytes()).map_err(broken)
    }

    /// The answers to the two newest requests.
    pub fn both_answers(&mut self) -> [Result<Value, CallError>; 2] {
        let newest = self.next_id;
        [newest - 1, newest].map(|id| self.answer_to(id))
    }

    /// The answer to the newest request.
    pub fn answer(&mut self) -> Result<Value, CallError> {
        self.answer_to(self.next_id)
    }

    fn answer_to(&mut self, id: u64) -> Result<Value, CallError> {
        loop {
            let line = self.line().map_err(broken)?;
            let answer: Value = serde_json::from_slice(line)
                .map_err(|e| CallError::Broken(format!("the answer is not JSON: {e}")))?;
            // Notifications have no id and may come at any time.
            if answer.get("method").is_some() {
                self.notices.push(answer);
                continue;
            }
            if answer.get("id").and_then(Value::as_u64) == Some(id) {
                return outcome(answer);
            }
        }
    }
}

fn broken(error: std::io::Error) -> CallError {
    CallError::Broken(error.to_string())
}

/// The result in an answer, or in an entry of a list of them.
pub(crate) fn outcome(mut answer: Value) -> Result<Value, CallError> {
    match answer.get("error") {
        None | Some(Value::Null) => Ok(answer["result"].take()),
        Some(error) => Err(CallError::Refused(
            error["code"].as_i64().unwrap_or(0),
            error["message"].as_str().unwrap_or_default().to_owned(),
        )),
    }
}
