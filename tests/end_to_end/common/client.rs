//! A client as small as the ones people write: a socket, lines, ids.

use super::PATIENCE;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

/// One connection.
pub struct Client {
    reading: BufReader<TcpStream>,
    next_id: u64,
    /// Lines that came while another one was wanted.
    aside: VecDeque<Value>,
}

impl Client {
    pub fn connect(port: u16) -> Client {
        Client::try_connect(port).expect("the hub takes connections")
    }

    /// A connection, unless nothing listens there.
    pub fn try_connect(port: u16) -> Option<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Client {
            reading: BufReader::new(stream),
            next_id: 1,
            aside: VecDeque::new(),
        })
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.reading
            .get_mut()
            .write_all(bytes.as_ref())
            .expect("the hub reads");
    }

    /// Sends bytes to a hub that may close the connection meanwhile.
    pub fn try_raw(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.reading.get_mut().write_all(bytes.as_ref())
    }

    /// Says that nothing more will be sent.
    pub fn half_close(&mut self) {
        self.reading.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// The next line as it is, without its end.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.reading
            .read_until(b'\n', &mut line)
            .expect("an answer in time");
        assert_eq!(line.pop(), Some(b'\n'), "the hub closed the connection");
        String::from_utf8(line).expect("answers are UTF-8")
    }

    /// The next line.
    pub fn read(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e} in {line}"))
    }

    /// Sends one line and reads the next.
    pub fn exchange(&mut self, line: impl AsRef<[u8]>) -> Value {
        self.raw(line);
        self.raw("\n");
        self.read()
    }

    /// Everything up to the end of the stream.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.reading
            .read_to_string(&mut rest)
            .expect("the hub closes in time");
        rest
    }

    /// Whether the hub has closed this connection (or does so in time).
    pub fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        loop {
            match self.reading.read(&mut byte) {
                Ok(0) => return true,
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends a request without waiting; its id.
    pub fn send(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let line = json!({"id": id, "method": method, "params": params}).to_string();
        self.raw(line + "\n");
        id
    }

    /// The answer to that id; what comes before it is kept aside.
    pub fn answer(&mut self, id: u64) -> Value {
        if let Some(at) = self.aside.iter().position(|line| line["id"] == id) {
            return self.aside.remove(at).unwrap();
        }
        loop {
            let line = self.read();
            if line["id"] == id {
                return line;
            }
            self.aside.push_back(line);
        }
    }

    /// A request that goes well; its result.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.result(id)
    }

    /// The whole answer to a request; `None` if the connection broke.
    pub fn try_call(&mut self, method: &str, params: Value) -> Option<Value> {
        let id = self.next_id;
        self.next_id += 1;
        let line = json!({"id": id, "method": method, "params": params}).to_string();
        self.try_raw(line + "\n").ok()?;
        let mut answer = Vec::new();
        self.reading.read_until(b'\n', &mut answer).ok()?;
        serde_json::from_slice(&answer).ok()
    }

    /// The result of a request that was sent.
    pub fn result(&mut self, id: u64) -> Value {
        let mut answer = self.answer(id);
        assert!(answer["error"].is_null(), "refused: {answer}");
        answer["result"].take()
    }

    /// A request that is refused; its error.
    pub fn refused(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        let mut answer = self.answer(id);
        assert!(
            answer["result"].is_null() && answer["error"].is_object(),
            "not refused: {answer}"
        );
        answer["error"].take()
    }

    /// The next notification of a method; what comes before it is kept aside.
    pub fn notice(&mut self, method: &str) -> Value {
        if let Some(at) = self.aside.iter().position(|line| line["method"] == method) {
            return self.aside.remove(at).unwrap()["params"].take();
        }
        loop {
            let mut line = self.read();
            if line["method"] == method {
                assert_eq!(line["jsonrpc"], "2.0");
                assert!(line.get("id").is_none(), "a notification has no id: {line}");
                return line["params"].take();
            }
            self.aside.push_back(line);
        }
    }

    /// Makes a chat task; its id.
    pub fn enqueue(&mut self, prompt: &str) -> i64 {
        self.enqueue_with(json!({"prompt": prompt}))
    }

    /// Makes a task; its id.
    pub fn enqueue_with(&mut self, params: Value) -> i64 {
        self.call("enqueue", params)["task_id"]
            .as_i64()
            .expect("a task id")
    }

    /// Takes the next task, waiting for it where need be.
    pub fn lease(&mut self, mut params: Value) -> Value {
        if params.get("wait_seconds").is_none() {
            params["wait_seconds"] = 20.into();
        }
        let mut answer = self.call("lease", params);
        assert_eq!(
            answer["tasks"].as_array().map(Vec::len),
            Some(1),
            "one task: {answer}"
        );
        answer["tasks"][0].take()
    }

    /// The present state of a task.
    pub fn task(&mut self, id: i64) -> Value {
        self.call("get", json!({"task_id": id}))["task"].take()
    }

    /// A task's status.
    pub fn status(&mut self, id: i64) -> String {
        self.task(id)["status"].as_str().unwrap().to_owned()
    }

    /// The same connection, to write from another thread.
    pub fn another_handle(&self) -> TcpStream {
        self.reading.get_ref().try_clone().unwrap()
    }
}
