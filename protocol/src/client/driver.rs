//! The background task that owns the socket.

use super::ConnectionState;
use super::connection::{HubConnection, PendingCall, QueuedCall, READ_BYTES, incoming};
use super::endpoint::{Endpoint, Stream};
use super::error::CallError;
use super::options::ClientOptions;
use super::wire::{Incoming, Notification};
use crate::answer::write_request;
use crate::{Error, ErrorCode, HelloAnswer, HelloParams, RawId};
use serde::Serialize;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

pub(super) struct ClientDriver {
    pub(super) endpoint: Endpoint,
    pub(super) options: ClientOptions,
    pub(super) queue: mpsc::Receiver<QueuedCall>,
    pub(super) state: watch::Sender<ConnectionState>,
    pub(super) notifications: broadcast::Sender<Arc<Notification>>,
    pub(super) hang_up: Arc<Notify>,
    pub(super) stop: CancellationToken,
}

impl ClientDriver {
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        // The work may be dropped at any point: callers notice that the replies it holds are dropped.
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.work() => {}
        }
        self.queue.close();
        self.state.send_replace(ConnectionState::Closed);
    }

    async fn work(&mut self) {
        let mut delays = (self.options.delays)();
        loop {
            let why = match self.connect().await {
                Ok((mut connection, hello)) => {
                    tracing::debug!(endpoint = %self.endpoint, "connected to the hub");
                    delays = (self.options.delays)();
                    // `resume: false` is for the first connection only; later ones resume the session that it opened.
                    self.options.hello.resume = true;
                    self.state
                        .send_replace(ConnectionState::Connected(Arc::new(hello)));
                    let why = self.serve(&mut connection).await;
                    self.disconnect(connection);
                    self.unreachable(why)
                }
                Err(error) => error,
            };
            tracing::debug!(endpoint = %self.endpoint, reason = %why, "not connected to the hub");
            self.state
                .send_replace(ConnectionState::Connecting(Some(why.clone())));
            if why.refusal().is_some_and(is_lasting) {
                self.refuse_waiting(&why);
            }
            let Some(delay) = delays.next() else {
                return;
            };
            tokio::time::sleep(delay).await;
        }
    }

    fn unreachable(&self, source: io::Error) -> CallError {
        CallError::Unreachable {
            endpoint: self.endpoint.to_string(),
            source: Arc::new(source),
        }
    }

    /// Opens a stream and sends `hello` on it.
    async fn connect(&self) -> Result<(HubConnection, HelloAnswer), CallError> {
        let attempt = async {
            let stream = self
                .endpoint
                .open()
                .await
                .map_err(|e| self.unreachable(e))?;
            self.greet(stream).await
        };
        match tokio::time::timeout(self.options.connect_timeout, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.unreachable(io::ErrorKind::TimedOut.into())),
        }
    }

    async fn greet(
        &self,
        stream: Box<dyn Stream>,
    ) -> Result<(HubConnection, HelloAnswer), CallError> {
        let mut connection = HubConnection::new(stream, self.options.answer_bytes);
        let hello = hello_line(&self.options.hello, self.options.key.as_deref())
            .map_err(CallError::Refused)?;
        connection
            .writer
            .write_all(&hello)
            .await
            .map_err(|e| self.unreachable(e))?;
        let raw = loop {
            match connection.next().await.map_err(|e| self.unreachable(e))? {
                Incoming::Answer(0, Ok(raw)) => break raw,
                Incoming::Answer(0, Err(error)) | Incoming::Complaint(error) => {
                    return Err(CallError::Refused(error));
                }
                Incoming::Notification(notification) => self.notify(notification),
                Incoming::Answer(..) => {}
                Incoming::Garbage(why) => return Err(self.bad_hello(why)),
            }
        };
        let answer: HelloAnswer =
            serde_json::from_str(raw.get()).map_err(|e| self.bad_hello(e.to_string()))?;
        connection.limits = answer.limits.clone();
        Ok((connection, answer))
    }

    fn bad_hello(&self, why: String) -> CallError {
        CallError::BadAnswer {
            endpoint: self.endpoint.to_string(),
            method: "hello".into(),
            why,
        }
    }

    /// Runs a connection until it breaks and returns the reason.
    async fn serve(&mut self, connection: &mut HubConnection) -> io::Error {
        loop {
            if let Err(why) = self.deliver(connection) {
                return why;
            }
            let has_space = connection.has_space();
            let HubConnection {
                reader,
                writer,
                lines,
                out,
                written,
                ..
            } = connection;
            let buffer = lines.buffer();
            buffer.reserve(READ_BYTES);
            tokio::select! {
                () = self.hang_up.notified() => return io::Error::other("dropped because it seemed dead"),
                read = reader.read_buf(buffer) => match read {
                    Ok(0) => return io::Error::new(io::ErrorKind::UnexpectedEof, "the hub closed the connection"),
                    Ok(_) => {}
                    Err(why) => return why,
                },
                wrote = writer.write(&out[*written..]), if *written < out.len() => match wrote {
                    Ok(0) => return io::ErrorKind::WriteZero.into(),
                    Ok(n) => connection.advance(n),
                    Err(why) => return why,
                },
                call = self.queue.recv(), if has_space => match call {
                    Some(call) => self.take(connection, call),
                    // Every handle is dropped; `run` is about to be stopped.
                    None => return io::ErrorKind::ConnectionAborted.into(),
                },
            }
        }
    }

    /// Takes a call and those queued behind it, so that one write sends them.
    fn take(&mut self, connection: &mut HubConnection, first: QueuedCall) {
        connection.accept(first);
        while connection.has_space() {
            let Ok(call) = self.queue.try_recv() else {
                return;
            };
            connection.accept(call);
        }
    }

    /// Handles every complete line. Fails if the stream cannot be read any further.
    fn deliver(&self, connection: &mut HubConnection) -> io::Result<()> {
        while let Some(line) = connection.lines.next_line() {
            match incoming(line)? {
                Incoming::Answer(id, outcome) => {
                    if let Some(pending) = connection.pending.remove(&id) {
                        // Fails only if the caller has given up.
                        let _ = pending.reply.send(outcome.map_err(CallError::Refused));
                    }
                }
                Incoming::Notification(notification) => self.notify(notification),
                Incoming::Complaint(error) => {
                    tracing::warn!(endpoint = %self.endpoint, %error, "the hub refused a line or the connection")
                }
                Incoming::Garbage(why) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
        }
        Ok(())
    }

    fn notify(&self, notification: Notification) {
        // Fails only if there is no receiver.
        let _ = self.notifications.send(Arc::new(notification));
    }

    /// Ends all calls without an answer as `Disconnected`.
    fn disconnect(&self, connection: HubConnection) {
        let endpoint = self.endpoint.to_string();
        for PendingCall { method, reply } in connection.pending.into_values() {
            let _ = reply.send(Err(CallError::Disconnected {
                endpoint: endpoint.clone(),
                method,
            }));
        }
    }

    /// Ends the queued calls with the refusal of `hello`, which further attempts would get as well.
    fn refuse_waiting(&mut self, why: &CallError) {
        while let Ok(call) = self.queue.try_recv() {
            let _ = call.reply.send(Err(why.clone()));
        }
    }
}

/// Whether the hub would refuse `hello` again. Not so if it was full or shutting down.
fn is_lasting(refusal: &Error) -> bool {
    !matches!(refusal.code, ErrorCode::Busy | ErrorCode::ShuttingDown)
}

fn hello_line(hello: &HelloParams, key: Option<&str>) -> Result<Vec<u8>, Error> {
    #[serde_with::skip_serializing_none]
    #[derive(Serialize)]
    struct Greeting<'a> {
        #[serde(flatten)]
        hello: &'a HelloParams,
        auth_token: Option<&'a str>,
    }
    let mut line = Vec::new();
    write_request(
        &mut line,
        &RawId::number(0),
        "hello",
        &Greeting {
            hello,
            auth_token: key,
        },
    )?;
    Ok(line)
}
